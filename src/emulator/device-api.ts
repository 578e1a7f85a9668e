import type { FastifyInstance } from 'fastify';
import { makeAccount } from './accounts.ts';
import { accepting, createSend } from './app.ts';
import type { DevicePoll } from './device-logins.ts';
import { type EmulatedResponse, html, json, notFound } from './response.ts';
import type { EmulatorState } from './state.ts';

const PREFIX = '/api/accounts/deviceauth';
const OPEN = { emulatorAuth: 'none' } as const;

const text = { type: 'string', minLength: 1 } as const;

const USER_CODE_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['client_id'],
  properties: { client_id: text },
} as const;

const POLL_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['device_auth_id', 'user_code'],
  properties: { device_auth_id: text, user_code: text },
} as const;

const DECISION_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['user_code', 'decision'],
  properties: { user_code: text, decision: { enum: ['approve', 'deny'] } },
} as const;

interface Decision {
  Body: { user_code: string; decision: 'approve' | 'deny' };
}

const REFUSALS = {
  pending: ['deviceauth_authorization_pending', 'Device authorization is pending.'],
  denied: ['deviceauth_authorization_denied', 'Device authorization was denied.'],
  expired: [
    'deviceauth_authorization_expired',
    'Device authorization code has expired. Please try again.',
  ],
  unknown: ['deviceauth_authorization_unknown', 'Device authorization is unknown.'],
} as const;

/** Sign-in with a device code, and the page on which a person types it. */
export function addDeviceApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  const { settings, deviceLogins } = state;
  app.post<{ Body: { client_id: string } }>(
    `${PREFIX}/usercode`,
    accepting('none', USER_CODE_BODY),
    ({ body }, reply) => {
      if (!settings.deviceLogin) return send(reply, notFound());
      const code = deviceLogins.begin(body.client_id, settings.deviceCodeSeconds);
      return send(
        reply,
        json(200, {
          device_auth_id: code.deviceAuthId,
          user_code: code.userCode,
          interval: String(settings.deviceIntervalSeconds),
          expires_at: new Date(code.expiresAtMs).toISOString(),
        }),
      );
    },
  );
  app.post<{ Body: { device_auth_id: string; user_code: string } }>(
    `${PREFIX}/token`,
    accepting('none', POLL_BODY),
    ({ body }, reply) =>
      send(reply, pollResponse(deviceLogins.poll(body.device_auth_id, body.user_code))),
  );
  app.get('/codex/device', { config: OPEN }, (_request, reply) => send(reply, devicePage('')));
  app.post<Decision>('/codex/device', accepting('none', DECISION_BODY), ({ body }, reply) => {
    const decision = body.decision === 'deny' ? 'denied' : makeAccount({}, state.nextId);
    const known = deviceLogins.decide(body.user_code, decision);
    const done = decision === 'denied' ? 'The sign-in was refused.' : 'You are signed in.';
    return send(reply, devicePage(known ? done : 'There is no such code, or it has expired.'));
  });
}

function pollResponse(poll: DevicePoll): EmulatedResponse {
  if (poll.state !== 'approved') {
    const [code, message] = REFUSALS[poll.state];
    return json(403, { error: { message, type: 'invalid_request_error', param: null, code } });
  }
  return json(200, {
    authorization_code: poll.authorizationCode,
    code_challenge: poll.codeChallenge,
    code_verifier: poll.codeVerifier,
  });
}

/** @param said plain text that stands above the form */
function devicePage(said: string): EmulatedResponse {
  return html(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Emulated sign-in</title>
<h1>Emulated sign-in</h1>
<p role="status">${said}</p>
<form method="post" action="/codex/device">
  <label>Code <input name="user_code" autocomplete="off" autofocus required></label>
  <button name="decision" value="approve">Continue</button>
  <button name="decision" value="deny">Refuse</button>
</form>
</html>
`);
}
