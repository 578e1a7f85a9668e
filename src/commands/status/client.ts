import type { StatusDocument } from '../../admin/status.ts';
import { parseJsonObject } from '../../base/json.ts';
import { askSidecar, placeOf, type StatusTarget } from './ask.ts';

/** Asks a running sidecar for its status. @throws Error of one line when that fails */
export async function fetchStatus(target: StatusTarget): Promise<StatusDocument> {
  const { text } = await askSidecar(target, '/auth/status');
  const response = parseJsonObject(text) as
    | (Partial<StatusDocument> & { error?: { message?: unknown } })
    | null;
  if (typeof response?.status === 'string' && response.agentIdentity) {
    return response as StatusDocument;
  }
  const refusal = response?.error?.message;
  if (typeof refusal === 'string') throw new Error(`${placeOf(target)} refused: ${refusal}`);
  throw new Error(`${placeOf(target)} did not respond with a status; is it a sidecar?`);
}
