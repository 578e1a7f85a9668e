import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { errorBody, SidecarError } from '../base/errors.ts';
import { type JsonObject, parseJsonObject } from '../base/json.ts';
import type { PlanType } from '../base/plan-type.ts';
import type { Client } from '../clients/client-tokens.ts';
import type { InboundRequest, RouteFlags } from '../inbound/request-context.ts';
import { madeUpAccount, phantomIdToken } from '../oauth/phantom-login.ts';
import { type AccessRules, attribute, checkRights } from './caller.ts';

interface TokenEndpointOptions {
  /** Asked at every request, because a reload may change them. */
  rules: () => AccessRules;
  /** Plan of the account in use; null when there is none, it has none, or the id token must stay. */
  planType: () => PlanType | null;
  now: Clock;
}

const PATH = '/oauth/token';
const MAX_BYTES = 16 * 1024;
/** With this code Codex gives up at once and tells its user (0.169.0 and 0.171.0). */
const GIVE_UP = 'refresh_token_invalidated';

/**
 * Where Codex refreshes a phantom login. A client token comes back as it is, with an id token that
 * names the plan of today. The real login takes no part in it.
 */
export async function tokenEndpoint(
  app: FastifyInstance,
  options: TokenEndpointOptions,
): Promise<void> {
  // The token comes in the body, where every client of OAuth has it.
  const config = { access: 'open', own: true } as const satisfies RouteFlags;
  app.post(PATH, { config }, async (request: InboundRequest, reply) => {
    reply.header('cache-control', 'no-store');
    const fields = await readFields(request.raw);
    const { grant_type: grant, refresh_token: given } = fields;
    if (grant !== 'refresh_token' || typeof given !== 'string' || given === '') {
      throw notServed('this request');
    }
    try {
      const client = admit(given, options);
      attribute(request, client);
      if (client) checkClient(client, options.now());
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error;
      request.exchange.code = 'AUTH_CLIENT_TOKEN';
      return refuse(reply, error);
    }
    const planType = options.planType();
    return reply.send({
      access_token: given,
      refresh_token: given,
      // Without a plan, Codex keeps the id token that it has.
      ...(planType === null ? {} : { id_token: phantomIdToken(madeUpAccount(planType)) }),
      token_type: 'Bearer',
    });
  });
}

/** @returns null where clients need no token */
function admit(given: string, { rules }: TokenEndpointOptions): Client | null {
  const { tokens, certificates } = rules();
  if (tokens === null && certificates === null) return null;
  const client = tokens?.find(given);
  if (client) return client;
  throw new SidecarError('AUTH_CLIENT_TOKEN', 'this client token is not known to the sidecar');
}

/** A token for Codex may do this without naming the path. */
function checkClient(client: Client, now: number): void {
  const everywhere = { ...client, patterns: null };
  checkRights(client.purpose === 'codex' ? everywhere : client, PATH, now);
}

function refuse(reply: FastifyReply, error: SidecarError) {
  const { message } = errorBody(error).error;
  const advice =
    'make a new token, and run "codex-auth-sidecar codex-config --write --login" again';
  return reply
    .code(401)
    .header('x-sidecar-error', 'AUTH_CLIENT_TOKEN')
    .send({ error: { message: `${message}; ${advice}`, type: 'sidecar_error', code: GIVE_UP } });
}

async function readFields(request: IncomingMessage): Promise<JsonObject> {
  const text = (await readBody(request)).toString('utf8');
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') {
    return Object.fromEntries(new URLSearchParams(text));
  }
  return (type === 'application/json' && parseJsonObject(text)) || {};
}

/**
 * Fastify parses no body in this program, because the proxy passes each one on as a stream. It flows,
 * so that a slow one is noticed, and what is too long flows on into nothing.
 */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BYTES) chunks.push(chunk);
      else reject(notServed(`a body of more than ${MAX_BYTES} bytes`));
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', () => reject(notServed('a body that breaks off')));
    request.once('close', () => reject(notServed('a body that breaks off')));
  });
}

function notServed(what: string): SidecarError {
  const served = 'only grant_type=refresh_token with a client token as refresh_token';
  return new SidecarError('AUTH_REQUEST_INVALID', `${what} is not served here; ${served} is`);
}
