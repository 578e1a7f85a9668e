import { SidecarError } from '../base/errors.ts';
import { checkLimits, checkMessage } from '../clients/check-limits.ts';
import type { Client } from '../clients/client-tokens.ts';
import { hasTokenLimit } from '../clients/limits.ts';
import { hasBody } from '../inbound/has-body.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import { type JudgedBody, judgeModel } from './model-gate.ts';
import type { ForwardOptions } from './proxied-request.ts';
import { isInference, mayBeModelRoute, usesNoModel } from './routes.ts';

type Counting = Pick<ForwardOptions, 'counters' | 'now'>;

/**
 * Counts a request for its client, and refuses it when the client has used what it may.
 * @param path in normal form
 * @throws SidecarError AUTH_CLIENT_LIMIT; AUTH_HTTP_ONLY for an upgrade that must be a request;
 *   AUTH_ROUTE_DENIED for a use of a model that no limit would reach
 */
export function useClient(
  { client, method, exchange }: InboundRequest,
  path: string,
  upgrade: boolean,
  { counters, now }: Counting,
): void {
  if (!client) return;
  if (upgrade && client.limits?.models) {
    // Each message could name another model, compressed in a way that only its whole stream tells.
    // Codex goes on with HTTP at once (measured, 0.169.0 and 0.171.0), where each turn is judged.
    throw new SidecarError(
      'AUTH_HTTP_ONLY',
      `the client token "${client.name}" is limited to models, so it cannot use WebSockets; send the request over HTTP`,
    );
  }
  if (!isInference(path) && !(isRead(method) && !upgrade) && !usesNoModel(path)) {
    refuseUnseen(client);
  }
  const usesModel = upgrade || (!isRead(method) && mayBeModelRoute(path));
  checkLimits(client, counters, usesModel, now());
  counters.addRequest(client.name);
  if (usesModel) exchange.whenFinished(counters.openStream(client.name));
}

/** @throws SidecarError when a limit asks for what nobody here would see */
function refuseUnseen({ name, limits }: Client): void {
  const isLimited = limits?.models || hasTokenLimit(limits);
  if (!isLimited) return;
  throw new SidecarError(
    'AUTH_ROUTE_DENIED',
    `the client token "${name}" is limited to models or tokens, so of what uses a model it may send responses and compactions only: whatever else it uses here could not be seen`,
  );
}

/**
 * Judges the model that a request asks for.
 * @param path in normal form
 * @param mostBytes see {@link judgeModel}
 * @returns null where the client may use every model, or the request asks for none
 * @throws SidecarError AUTH_MODEL_DENIED
 */
export function judgeBody(
  { client, method, raw }: InboundRequest,
  path: string,
  mostBytes: number,
): JudgedBody | null {
  if (!client?.limits?.models || isRead(method) || !isInference(path) || !hasBody(raw)) return null;
  return judgeModel(raw, client, mostBytes);
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * What judges the messages of a WebSocket. The first one belongs to the upgrade, which has counted as a
 * request; but the tokens of the day may have been used up since. Where tokens are limited, no message
 * follows what could not be read.
 * @returns a function that says whether the next message may begin
 */
export function messageGate(request: InboundRequest, { counters, now }: Counting): () => boolean {
  let isFirst = true;
  return () => {
    // Asked anew each time: a reload may have changed its limits.
    const { client } = request;
    if (!client) return true;
    if (hasTokenLimit(client.limits) && request.exchange.reading?.isLost !== false) {
      request.exchange.code = 'AUTH_CLIENT_LIMIT';
      return false;
    }
    try {
      checkMessage(client, counters, isFirst, now());
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error;
      request.exchange.code = error.code;
      return false;
    }
    if (!isFirst) counters.addRequest(client.name);
    isFirst = false;
    return true;
  };
}
