import t, { type Test } from 'tap';
import {
  awaitDeviceTokens,
  type DeviceCode,
  type DeviceLoginClient,
  requestDeviceCode,
} from '../../src/oauth/device-login.ts';
import type { HttpClient, TextResponse } from '../../src/upstream/http-client.ts';

type Step = Partial<TextResponse> | 'no network';

const ISSUER = 'https://issuer.example';
const CODE = { device_auth_id: 'device-1', user_code: 'ABCD-1234', interval: '5' };
const START = Date.parse('2026-11-20T21:30:00Z');
const never = new AbortController().signal;

/** A server that gives one response after the other, in virtual time. */
function script(steps: Step[]) {
  const time = { now: 0 };
  const asked: { url: string; body: unknown; at: number }[] = [];
  const http: HttpClient = async ({ url, body }) => {
    asked.push({ url: url.slice(ISSUER.length), body, at: time.now });
    const step = steps.length > 1 ? steps.shift() : steps[0];
    if (step === 'no network') throw new Error('no network');
    return { status: 200, headers: {}, text: '', retryAfterMs: null, ...step };
  };
  const client: DeviceLoginClient = {
    issuer: ISSUER,
    tokenUrl: `${ISSUER}/oauth/token`,
    clientId: 'client-1',
    http,
    now: () => START + time.now,
    monotonicNow: () => time.now,
    sleep: async (ms) => {
      time.now += ms;
    },
  };
  return { client, asked, time };
}

const body = (value: object, status = 200): Step => ({ status, text: JSON.stringify(value) });
const failure = (status: number, code?: string, message?: string) =>
  body({ error: { code, message } }, status);

const code: DeviceCode = {
  verificationUrl: `${ISSUER}/codex/device`,
  userCode: 'ABCD-1234',
  deviceAuthId: 'device-1',
  intervalMs: 5000,
  deadline: 60_000,
};
const APPROVED = body({ authorization_code: 'ac', code_challenge: 'c', code_verifier: 'v' });
const TOKENS = body({ id_token: 'id', access_token: 'access', refresh_token: 'refresh' });
const PENDING = failure(
  403,
  'deviceauth_authorization_pending',
  'Device authorization is pending.',
);

t.test('a code is asked for as Codex does', async (t) => {
  const { client, asked } = script([body(CODE)]);
  t.strictSame(await requestDeviceCode(client, never), { ...code, deadline: 900_000 });
  t.strictSame(asked, [
    { url: '/api/accounts/deviceauth/usercode', body: { client_id: 'client-1' }, at: 0 },
  ]);
});

t.test('interval and end of a code are what the server says, within bounds', async (t) => {
  const of = async (fields: object, headers: Record<string, string> = {}) => {
    const { client } = script([{ headers, text: JSON.stringify({ ...CODE, ...fields }) }]);
    const { intervalMs, deadline } = await requestDeviceCode(client, never);
    return [intervalMs, deadline];
  };
  t.strictSame(await of({ interval: 7 }), [7000, 900_000]);
  t.strictSame(await of({ interval: '0' }), [1000, 900_000]);
  t.strictSame(await of({ interval: '99999' }), [60_000, 900_000]);
  t.strictSame(await of({ interval: '' }), [5000, 900_000]);
  t.strictSame(await of({ expires_at: '2026-11-20T21:31:00Z' }), [5000, 60_000]);
  t.strictSame(await of({ expires_at: '2026-11-20T23:00:00Z' }), [5000, 900_000]);
  // A clock of ours that is an hour ahead ends no code.
  const date = { date: 'Fri, 20 Nov 2026 20:30:00 GMT' };
  t.strictSame(await of({ expires_at: '2026-11-20T20:32:00Z' }, date), [5000, 120_000]);
});

t.test('who gives no code is told apart', async (t) => {
  const cases: [Step, RegExp][] = [
    [{ status: 404 }, /not enabled at https:\/\/issuer\.example/],
    [{ status: 429, retryAfterMs: 90_000 }, /try again in 90 seconds/],
    [{ status: 429 }, /try again later/],
    [failure(403, 'blocked'), /gave no code: blocked/],
    [{ status: 500 }, /gave no code: status 500/],
    ['no network', /cannot be reached/],
    [{ text: '{}' }, /sent no usable code/],
    [body({ ...CODE, user_code: '\u001b[2J' }), /sent no usable code/],
  ];
  for (const [step, message] of cases) {
    const { client } = script([step]);
    await t.rejects(requestDeviceCode(client, never), { name: 'DeviceLoginError', message });
  }
});

t.test('the person is waited for, whatever happens to network and server meanwhile', async (t) => {
  const { client, asked } = script([
    PENDING,
    { status: 404, text: '{"detail":"Not Found"}' },
    'no network',
    { status: 503 },
    { status: 429, retryAfterMs: 12_000 },
    PENDING,
    APPROVED,
    TOKENS,
  ]);
  const tokens = await awaitDeviceTokens(client, code, never);
  t.equal(tokens.refreshToken.reveal(), 'refresh');
  t.strictSame(
    asked.slice(0, 7).map(({ url, at }) => [url, at]),
    [0, 5000, 10_000, 15_000, 20_000, 32_000, 37_000].map((at) => [
      '/api/accounts/deviceauth/token',
      at,
    ]),
  );
  t.equal(asked[7]?.url, '/oauth/token');
  t.equal(
    String(asked[7]?.body),
    'grant_type=authorization_code&client_id=client-1&code=ac&redirect_uri=https%3A%2F%2Fissuer.example%2Fdeviceauth%2Fcallback&code_verifier=v',
  );
});

async function refusal(t: Test, steps: Step[], message: RegExp) {
  const { client, asked } = script(steps);
  await t.rejects(awaitDeviceTokens(client, code, never), { name: 'DeviceLoginError', message });
  return asked;
}

t.test('a refusal ends it at once, and says which one it is', async (t) => {
  const cases: [Step, RegExp][] = [
    [failure(403, 'deviceauth_authorization_denied'), /denied on the page/],
    [failure(403, undefined, 'Device authorization code has expired.'), /code has expired/],
    [failure(403, undefined, 'Device authorization is unknown.'), /code is unknown/],
    [failure(403, 'workspace_forbids'), /refused: workspace_forbids/],
    [failure(400, 'bad'), /failed: bad/],
    [{ status: 302 }, /failed: status 302/],
    [body({ authorization_code: 'ac' }), /sent no authorization code/],
  ];
  for (const [step, message] of cases) {
    const asked = await refusal(t, [PENDING, step], message);
    t.equal(asked.length, 2);
  }
});

t.test('tokens that do not come are no login', async (t) => {
  await refusal(t, [APPROVED, failure(400, 'invalid_grant')], /refused the sign-in: invalid_grant/);
  await refusal(t, [APPROVED, { text: '{"id_token":"a"}' }], /no complete login/);
  const asked = await refusal(t, [APPROVED, 'no network'], /no response from the token endpoint/);
  t.equal(asked.length, 2, 'a code works once');
});

t.test('it ends with its code', async (t) => {
  const asked = await refusal(t, [PENDING], /code has expired/);
  t.equal(asked.at(-1)?.at, 55_000);
  await refusal(t, [{ status: 429, retryAfterMs: 999_999_000 }], /code has expired/);
  await refusal(t, ['no network'], /code has expired/);
});

t.test('an abort ends it at once, even in the middle of a call', async (t) => {
  const abort = new AbortController();
  const { client } = script([PENDING]);
  const http: HttpClient = () => {
    setImmediate(() => abort.abort(new Error('enough')));
    return new Promise(() => undefined);
  };
  const running = awaitDeviceTokens({ ...client, http }, code, abort.signal);
  await t.rejects(running, { message: 'enough' });
  await t.rejects(requestDeviceCode({ ...client, http }, abort.signal), { message: 'enough' });
});
