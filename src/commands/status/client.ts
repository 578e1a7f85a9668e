import type { ClientsDocument } from '../../admin/clients.ts';
import type { StatusDocument } from '../../admin/status.ts';
import { type JsonObject, parseJsonObject } from '../../base/json.ts';
import { askSidecar, placeOf, type StatusTarget } from './ask.ts';

/** Asks a running sidecar for its status. @throws Error of one line when that fails */
export async function fetchStatus(target: StatusTarget): Promise<StatusDocument> {
  const isStatus = (found: JsonObject): found is JsonObject & StatusDocument =>
    typeof found.status === 'string' && found.agentIdentity !== undefined;
  return fetchDocument(target, '/auth/status', 'a status', isStatus);
}

/** Asks it what its clients took. @throws Error of one line when that fails */
export async function fetchClients(target: StatusTarget): Promise<ClientsDocument> {
  const isClients = (found: JsonObject): found is JsonObject & ClientsDocument =>
    Array.isArray(found.clients) && Array.isArray(found.accountLimits);
  return fetchDocument(target, '/auth/clients', 'its clients', isClients);
}

async function fetchDocument<T>(
  target: StatusTarget,
  path: string,
  what: string,
  isWanted: (found: JsonObject) => found is JsonObject & T,
): Promise<T> {
  const { text } = await askSidecar(target, path);
  const found = parseJsonObject(text);
  if (found && isWanted(found)) return found;
  const refusal = (found as { error?: { message?: unknown } } | null)?.error?.message;
  if (typeof refusal === 'string') throw new Error(`${placeOf(target)} refused: ${refusal}`);
  throw new Error(`${placeOf(target)} did not respond with ${what}; is it a sidecar?`);
}
