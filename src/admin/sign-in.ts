import type { FastifyInstance, FastifyReply } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import { isProxyHeader } from '../base/proxy-headers.ts';
import type { SignInAttempts, SignInState } from '../credentials/sign-in-attempt.ts';
import type { InboundRequest, RouteFlags } from '../inbound/request-context.ts';

/**
 * What readers of the events are told. The code is for the page that began the sign-in, or joined
 * it: whoever else reads it could type it first, with an account of their own.
 */
export interface SignInEvent {
  state: SignInState['state'];
  /** Why the last attempt failed. */
  reason: string | null;
  /** Whether the page may begin one. */
  offered: boolean;
}

const PATH = '/auth/sign-in';

/**
 * The status page signs the sidecar in. Nobody but that page may, in a browser on this machine; the
 * access check of the whole server sees to its origin and address.
 */
export function addSignIn(app: FastifyInstance, signIn: SignInAttempts): void {
  const config = { access: 'local', own: true, byOwnPage: true } as const satisfies RouteFlags;
  app.post(PATH, { config }, async (request: InboundRequest, reply) => {
    checkSender(request);
    const state = await signIn.begin();
    return tell(reply, state.state === 'waiting' ? 202 : 409, state);
  });
  app.delete(PATH, { config }, async (request: InboundRequest, reply) => {
    checkSender(request);
    return tell(reply, 200, await signIn.cancel());
  });
}

/** Pure. */
export function signInEvent(current: SignInState, offered: boolean): SignInEvent {
  const { state } = current;
  return { state, reason: state === 'failed' ? current.reason : null, offered };
}

/** @throws SidecarError */
function checkSender({ headers }: InboundRequest): void {
  // Behind a proxy, a connection from this machine says nothing of the person.
  const forwarded = Object.keys(headers).find(isProxyHeader);
  if (forwarded !== undefined) {
    throw new SidecarError(
      'AUTH_ROUTE_DENIED',
      `this is for a browser on the machine of the sidecar, and not through a proxy (${forwarded})`,
    );
  }
  // A form cannot send it, and a script of another origin only after a preflight, which fails.
  if (headers['content-type'] !== 'application/json') {
    throw new SidecarError('AUTH_REQUEST_INVALID', 'content-type must be application/json');
  }
}

function tell(reply: FastifyReply, status: number, state: SignInState): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').send(state);
}
