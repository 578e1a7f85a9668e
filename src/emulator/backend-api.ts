import type { FastifyInstance } from 'fastify';
import type { EmulatedAccount } from './accounts.ts';
import { createSend } from './app.ts';
import { type EmulatedResponse, json } from './response.ts';
import { type EmulatorState, ofAccount } from './state.ts';

const BEARER = { config: { emulatorAuth: 'bearer' } } as const;
const OPEN = { config: { emulatorAuth: 'none' } } as const;

/** The key set, and the side requests of the ChatGPT backend. */
export function addBackendApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  // Two places: a client looks under the base URL with or without /backend-api.
  for (const base of ['/backend-api/wham', '']) {
    app.get(`${base}/agent-identities/jwks`, OPEN, (_request, reply) =>
      send(reply, json(200, state.signingKey.jwks)),
    );
  }
  const ofAccounts = { usage, 'accounts/check': accountsCheck, 'settings/user': userSettings };
  for (const [path, make] of Object.entries(ofAccounts)) {
    app.get(`/backend-api/wham/${path}`, BEARER, ({ raw }, reply) =>
      send(reply, ofAccount(state, raw, make)),
    );
  }
  app.all('/backend-api/*', BEARER, (_request, reply) => send(reply, anythingElse()));
}

function usage({ planType }: EmulatedAccount): EmulatedResponse {
  const window = { used_percent: 1, limit_window_seconds: 18_000, reset_after_seconds: 9_000 };
  return json(200, {
    plan_type: planType,
    rate_limit: { allowed: true, limit_reached: false, primary_window: window },
    credits: null,
  });
}

function accountsCheck({ accountId, planType }: EmulatedAccount): EmulatedResponse {
  const account = { id: accountId, plan_type: planType, structure: 'personal' };
  return json(200, { accounts: [account], default_account_id: accountId });
}

function userSettings({ email }: EmulatedAccount): EmulatedResponse {
  return json(200, { email, settings: {} });
}

/** Enough for a client that only wants to know whether its credential was good. */
function anythingElse(): EmulatedResponse {
  return json(200, { ok: true });
}
