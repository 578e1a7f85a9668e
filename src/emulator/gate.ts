import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { deliver, pause, sabotage } from './deliver.ts';
import { type EmulatedExchange, faultResponse } from './exchange.ts';
import { isControlPath } from './records.ts';
import { refusalResponse } from './refusals.ts';
import { type EmulatorState, judge } from './state.ts';
import type { RequiredAuth } from './verify.ts';

/** First step, at the headers: picks the fault that hits the request and judges its credential. */
export function examine(
  state: EmulatorState,
  exchange: EmulatedExchange,
  route: RequiredAuth,
): void {
  const { method, path, transport } = exchange.record;
  const [pathname = ''] = path.split('?', 1);
  if (!isControlPath(pathname)) {
    exchange.fault = state.faults.take(method, pathname, transport === 'websocket');
  }
  judge(state, exchange, route);
}

/**
 * Second step, when the body is there: lets the fault happen, or refuses the credential.
 * @returns whether the request has had its response, or will never get one
 */
export async function intercept(
  state: EmulatorState,
  exchange: EmulatedExchange,
  connection: { response: ServerResponse; socket: Socket },
): Promise<boolean> {
  const { fault, verdict } = exchange;
  if (fault?.delayMs !== undefined) await pause(state, fault.delayMs);
  if (connection.socket.destroyed || sabotage(exchange, connection.socket)) return true;
  const refusal = verdict?.refusal ?? null;
  const response =
    (fault === null ? null : faultResponse(fault)) ??
    (refusal === null ? null : refusalResponse(refusal));
  if (response === null) return false;
  await deliver(state, exchange, connection.response, response);
  return true;
}
