import type { FastifyInstance } from 'fastify';
import { accepting, createSend } from './app.ts';
import { pause } from './deliver.ts';
import { badRequest, type EmulatedResponse, json } from './response.ts';
import type { EmulatorState } from './state.ts';
import type { RefreshResult, TokenSet } from './tokens.ts';

type Grant =
  | { grant_type: 'refresh_token'; client_id: string; refresh_token: string }
  | {
      grant_type: 'authorization_code';
      client_id: string;
      code: string;
      redirect_uri: string;
      code_verifier: string;
    }
  | { grant_type: typeof JWT_BEARER; assertion: string; federation_rule_id: string };

interface Revoke {
  Body: { token: string };
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

const text = { type: 'string', minLength: 1 } as const;

const TOKEN_BODY = {
  type: 'object',
  required: ['grant_type'],
  discriminator: { propertyName: 'grant_type' },
  oneOf: [
    grant('refresh_token', ['client_id', 'refresh_token'], {
      refresh_reason: {
        enum: ['proactive_expiry', 'unauthorized_recovery', 'scheduled', 'forced'],
      },
    }),
    grant('authorization_code', ['client_id', 'code', 'redirect_uri', 'code_verifier']),
    grant(JWT_BEARER, ['assertion', 'federation_rule_id']),
  ],
};

const REVOKE_BODY = { type: 'object', required: ['token'], properties: { token: text } } as const;

const REFRESH_ERRORS = {
  refresh_token_reused: 'Your refresh token has already been used to generate a new access token.',
  refresh_token_invalidated: 'Your refresh token has been revoked.',
} as const;

/** The OAuth token endpoint (refresh tokens rotate and work once) and revocation. */
export function addOAuthApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  app.post<{ Body: Grant }>(
    '/oauth/token',
    accepting('none', TOKEN_BODY),
    async ({ body, headers }, reply) => {
      const type = headers['content-type'] ?? '';
      const wanted = body.grant_type === 'refresh_token' ? JSON_TYPE : FORM;
      if (!type.startsWith(wanted)) return send(reply, badRequest(`send it as ${wanted}`));
      const issuer = `${reply.request.protocol}://${headers.host}`;
      // Read before the refresh token is spent: what is set afterwards is for the next one.
      const { refreshResponseDelayMs: delayMs } = state.settings;
      const response = await grantResponse(state, body, issuer);
      if (body.grant_type === 'refresh_token' && delayMs > 0) await pause(state, delayMs);
      return send(reply, response);
    },
  );
  app.post<Revoke>('/oauth/revoke', accepting('none', REVOKE_BODY), ({ body }, reply) => {
    state.tokens.revoke(body.token);
    return send(reply, json(200, {}));
  });
}

/** @param issuer the origin that the request was sent to */
async function grantResponse(
  { tokens, settings, deviceLogins, workloadRules }: EmulatorState,
  body: Grant,
  issuer: string,
): Promise<EmulatedResponse> {
  switch (body.grant_type) {
    case 'refresh_token':
      return refreshResponse(
        tokens.refresh(body.refresh_token, body.client_id, settings.revokeFamilyOnReuse),
      );
    case 'authorization_code': {
      const { code, client_id: clientId, code_verifier: verifier } = body;
      const account = deviceLogins.redeem(code, clientId, verifier);
      if (!account || body.redirect_uri !== `${issuer}/deviceauth/callback`) return invalidGrant();
      return tokenResponse(tokens.issueTokenSet(account, { clientId }));
    }
    case JWT_BEARER: {
      const account = await workloadRules.admit(body.federation_rule_id, body.assertion);
      if (!account) return invalidGrant();
      const { accessToken, expiresInSeconds } = tokens.issueAccessToken(account);
      return json(200, {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: expiresInSeconds,
        chatgpt_account_id: account.accountId,
        chatgpt_account_user_id: `${account.userId}__${account.accountId}`,
        user_id: account.userId,
        chatgpt_plan_type: account.planType,
        chatgpt_account_is_fedramp: account.fedramp,
      });
    }
  }
}

function grant(type: Grant['grant_type'], required: string[], optional: object = {}) {
  const given = Object.fromEntries(required.map((name) => [name, text]));
  return {
    required,
    additionalProperties: false,
    properties: { grant_type: { const: type }, ...given, ...optional },
  };
}

function refreshResponse(outcome: RefreshResult): EmulatedResponse {
  if (outcome.ok) return tokenResponse(outcome.tokens);
  const { code } = outcome;
  const type = 'invalid_request_error';
  return json(401, { error: { message: REFRESH_ERRORS[code], type, param: null, code } });
}

function tokenResponse({ idToken, accessToken, refreshToken }: TokenSet): EmulatedResponse {
  return json(200, {
    id_token: idToken,
    access_token: accessToken,
    refresh_token: refreshToken,
    token_type: 'Bearer',
  });
}

function invalidGrant(): EmulatedResponse {
  return json(400, { error: 'invalid_grant', error_description: 'The grant is invalid.' });
}
