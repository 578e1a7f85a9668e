import type { Fault } from './faults.ts';
import type { EmulatorRecord } from './records.ts';
import type { EmulatedResponse } from './response.ts';
import type { Verdict } from './verify.ts';

/** One request on its way through the emulator. */
export interface EmulatedExchange {
  readonly record: EmulatorRecord;
  /** The fault that hits this request, once its headers are read. */
  fault: Fault | null;
  /** What the check of the credential said; null before it. */
  verdict: Verdict | null;
  /** The emulator itself cut the connection, so the client is not to blame. */
  severed: boolean;
}

/** The response that a fault orders instead of the true one; null when it orders none. */
export function faultResponse(fault: Fault): EmulatedResponse | null {
  const { status, body } = fault;
  if (status === undefined && body === undefined) return null;
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
  const type = typeof body === 'string' ? 'text/plain' : 'application/json';
  return { status: status ?? 200, headers: { 'content-type': type }, pieces: [text] };
}
