import { SidecarError } from '../base/errors.ts';
import { checkLimits } from '../clients/check-limits.ts';
import type { Client } from '../clients/client-tokens.ts';
import { mustBeSeen } from '../clients/limits.ts';
import { hasBody } from '../inbound/has-body.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import { type JudgedBody, judgeModel } from './model-gate.ts';
import type { ForwardOptions } from './proxied-request.ts';
import { isInference, isReading, mayBeModelRoute, mayBeStored, usesNoModel } from './routes.ts';

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
  const isRead = isReading(method) && !upgrade;
  if (mustBeSeen(client.limits) && !isSeen(path, isRead)) throw unseen(client);
  const usesModel = isRead ? mayBeStored(path) : upgrade || mayBeModelRoute(path);
  checkLimits(client, counters, usesModel, now());
  counters.addRequest(client.name);
  if (usesModel) exchange.whenFinished(counters.openStream(client.name));
}

/**
 * Whether a request uses no model, or one that can be seen here. What a response took that the backend
 * has made by itself and kept is not told to whoever fetches it.
 */
function isSeen(path: string, isRead: boolean): boolean {
  return isInference(path) || (isRead ? !mayBeStored(path) : usesNoModel(path));
}

/** A limit asks for what nobody here would see. */
function unseen({ name }: Client): SidecarError {
  return new SidecarError(
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
  if (!client?.limits?.models || isReading(method) || !isInference(path) || !hasBody(raw))
    return null;
  return judgeModel(raw, client, mostBytes);
}
