import { SidecarError } from '../base/errors.ts';
import { checkLimits, checkMessage } from '../clients/check-limits.ts';
import type { Client } from '../clients/client-tokens.ts';
import { hasTokenLimit } from '../clients/limits.ts';
import { hasBody } from '../inbound/has-body.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import { type JudgedBody, judgeModel } from './model-gate.ts';
import type { ForwardOptions } from './proxied-request.ts';
import { isModelRoute } from './routes.ts';

type Counting = Pick<ForwardOptions, 'counters' | 'now'>;

/**
 * Counts a request for its client, and refuses it when the client has used what it may.
 * @param path in normal form
 * @throws SidecarError AUTH_CLIENT_LIMIT; AUTH_HTTP_ONLY for an upgrade that must be a request;
 *   AUTH_ROUTE_DENIED for a task that no limit would reach
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
  if (startsTask(method, path)) refuseUnseen(client);
  const usesModel = upgrade || mayUseModel(method, path);
  checkLimits(client, counters, usesModel, now());
  counters.addRequest(client.name);
  if (usesModel) exchange.whenFinished(counters.openStream(client.name));
}

/** Below it Codex starts work that the backend does by itself, with a model of its own choice. */
const TASKS = '/backend-api/wham/tasks';

/** A backend may ignore case. */
function startsTask(method: string, path: string): boolean {
  return !isRead(method) && path.toLowerCase().startsWith(TASKS);
}

/** @throws SidecarError when a limit asks for what nobody here would see */
function refuseUnseen({ name, limits }: Client): void {
  const isLimited = limits?.models || hasTokenLimit(limits);
  if (!isLimited) return;
  throw new SidecarError(
    'AUTH_ROUTE_DENIED',
    `the client token "${name}" is limited to models or tokens, so it cannot start a task: the model and the tokens of a task do not pass here`,
  );
}

/** Paths on which a request without a model would get whatever the backend takes for one. */
const INFERENCE: ReadonlySet<string> = new Set([
  '/backend-api/codex/responses',
  '/backend-api/codex/responses/compact',
]);

/**
 * Judges the model that a request asks for.
 * @param path in normal form
 * @param mostBytes see {@link judgeModel}
 * @returns null where the client may use every model, or the request cannot use any
 * @throws SidecarError AUTH_MODEL_DENIED
 */
export function judgeBody(
  { client, method, raw }: InboundRequest,
  path: string,
  mostBytes: number,
): JudgedBody | null {
  if (!client?.limits?.models || !mayUseModel(method, path) || !hasBody(raw)) return null;
  return judgeModel(raw, client, INFERENCE.has(path), mostBytes);
}

function mayUseModel(method: string, path: string): boolean {
  return !isRead(method) && isModelRoute(path);
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * What judges the messages of a WebSocket. The first one belongs to the upgrade, which has counted as a
 * request; but the tokens of the day may have been used up since.
 * @returns a function that says whether the next message may begin
 */
export function messageGate(request: InboundRequest, { counters, now }: Counting): () => boolean {
  let isFirst = true;
  return () => {
    // Asked anew each time: a reload may have changed its limits.
    const { client } = request;
    if (!client) return true;
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
