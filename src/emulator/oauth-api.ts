import type { FastifyInstance } from 'fastify';
import { createSend } from './app.ts';
import { type EmulatedResponse, json } from './response.ts';
import type { EmulatorState } from './state.ts';
import type { RefreshResult } from './tokens.ts';

interface Refresh {
  Body: { refresh_token: string };
}

interface Revoke {
  Body: { token: string };
}

const text = { type: 'string', minLength: 1 } as const;

const REFRESH_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['client_id', 'grant_type', 'refresh_token'],
  properties: { client_id: text, grant_type: { const: 'refresh_token' }, refresh_token: text },
} as const;

const REVOKE_BODY = { type: 'object', required: ['token'], properties: { token: text } } as const;

const REFRESH_ERRORS = {
  refresh_token_reused: 'Your refresh token has already been used to generate a new access token.',
  refresh_token_invalidated: 'Your refresh token has been revoked.',
} as const;

/** The OAuth token endpoint (refresh tokens rotate and work once) and revocation. */
export function addOAuthApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  app.post<Refresh>(
    '/oauth/token',
    { config: { emulatorAuth: 'none' }, schema: { body: REFRESH_BODY } },
    ({ body }, reply) =>
      send(
        reply,
        refreshResponse(
          state.tokens.refresh(body.refresh_token, state.settings.revokeFamilyOnReuse),
        ),
      ),
  );
  app.post<Revoke>(
    '/oauth/revoke',
    { config: { emulatorAuth: 'none' }, schema: { body: REVOKE_BODY } },
    ({ body }, reply) => {
      state.tokens.revoke(body.token);
      return send(reply, json(200, {}));
    },
  );
}

function refreshResponse(outcome: RefreshResult): EmulatedResponse {
  if (!outcome.ok) {
    const { code } = outcome;
    const type = 'invalid_request_error';
    return json(401, { error: { message: REFRESH_ERRORS[code], type, param: null, code } });
  }
  const { idToken, accessToken, refreshToken } = outcome.tokens;
  return json(200, {
    id_token: idToken,
    access_token: accessToken,
    refresh_token: refreshToken,
    token_type: 'Bearer',
  });
}
