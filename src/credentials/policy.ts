import { SidecarError } from '../base/errors.ts';
import type { RouteAuth } from '../config/resolve.ts';
import type { CredentialMode } from './credential.ts';

/** What a credential can do, as far as the policy needs to know. */
export interface Abilities {
  mode: CredentialMode;
  bearer: boolean;
  assertion: boolean;
}

/** Which headers to inject and which upstream gets the request. */
export interface Decision {
  inject: 'assertion' | 'bearer' | 'none';
  upstream: 'chatgpt' | 'openai';
}

/**
 * Route kind × credential → action; the table of the README. An assertion route gets a bearer only
 * with credentials that never have an identity.
 * @param modelRoute whether the path lies under `/backend-api/codex/`
 * @throws SidecarError AUTH_ROUTE_DENIED or AUTH_NO_BEARER
 */
export function decide(auth: RouteAuth, modelRoute: boolean, can: Abilities): Decision {
  if (auth === 'deny') throw new SidecarError('AUTH_ROUTE_DENIED', '"routes" denies this path');
  if (auth === 'none') return { inject: 'none', upstream: 'chatgpt' };
  if (can.mode === 'apikey') {
    if (modelRoute) return { inject: 'bearer', upstream: 'openai' };
    throw new SidecarError(
      'AUTH_ROUTE_DENIED',
      'with an API key only the model routes under /backend-api/codex/ exist',
    );
  }
  if (auth === 'assertion' && can.assertion) return { inject: 'assertion', upstream: 'chatgpt' };
  if (can.bearer) return { inject: 'bearer', upstream: 'chatgpt' };
  throw new SidecarError(
    'AUTH_NO_BEARER',
    'this route needs a bearer token, and an Agent Identity has none; sign in with ChatGPT, or give the route "auth": "assertion"',
  );
}
