import type { FastifyInstance } from 'fastify';
import { createSend } from './app.ts';
import { type EmulatedResponse, json } from './response.ts';
import { SIDE_RESPONSES } from './side-responses.ts';
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
  for (const [path, make] of Object.entries(SIDE_RESPONSES)) {
    app.get(`/backend-api/${path}`, BEARER, ({ raw }, reply) =>
      send(
        reply,
        ofAccount(state, raw, (account) => make(account, state)),
      ),
    );
  }
  app.all('/backend-api/*', BEARER, (_request, reply) => send(reply, anythingElse()));
}

/** Enough for a client that only wants to know whether its credential was good. */
function anythingElse(): EmulatedResponse {
  return json(200, { ok: true });
}
