import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { Secret } from '../../src/base/secret.ts';
import {
  CODEX_CLIENT_ID,
  type OAuthEndpoints,
  RefreshError,
  refreshTokens,
  revokeToken,
} from '../../src/oauth/token-endpoint.ts';
import { CallError, createHttpClient } from '../../src/upstream/http-client.ts';
import { type Reaction, startRecordingServer } from '../helpers/recording-server.ts';

const TOKEN = new Secret('refresh-1');

function endpointsAt(t: Test, url: string, agent = new Agent()): OAuthEndpoints {
  t.teardown(() => agent.destroy());
  return {
    tokenUrl: `${url}/oauth/token`,
    revokeUrl: `${url}/oauth/revoke`,
    clientId: CODEX_CLIENT_ID,
    http: createHttpClient(agent, 'codex-auth-sidecar/test'),
  };
}

async function startEndpoints(t: Test, ...reactions: [Reaction, ...Reaction[]]) {
  const server = await startRecordingServer(t, ...reactions);
  return { endpoints: endpointsAt(t, server.url), server };
}

async function failureOf(act: Promise<unknown>): Promise<RefreshError> {
  const error: unknown = await act.catch((thrown: unknown) => thrown);
  if (error instanceof RefreshError) return error;
  throw new Error('no RefreshError', { cause: error });
}

t.test('a refresh: exact body, rotated tokens', async (t) => {
  const body = JSON.stringify({ access_token: 'a', refresh_token: 'r', id_token: 'i' });
  const { endpoints, server } = await startEndpoints(t, { body });
  const fresh = await refreshTokens(endpoints, TOKEN);
  t.strictSame(
    [fresh.accessToken, fresh.refreshToken, fresh.idToken].map((token) => token?.reveal()),
    ['a', 'r', 'i'],
  );
  const [request] = server.requests;
  t.match(request, {
    method: 'POST',
    path: '/oauth/token',
    headers: { 'content-type': 'application/json' },
  });
  t.strictSame(JSON.parse(request?.body ?? ''), {
    client_id: 'app_EMoamEEZ73f0CkXaXp7hrann',
    grant_type: 'refresh_token',
    refresh_reason: 'scheduled',
    refresh_token: 'refresh-1',
  });
});

t.test('absent, empty and odd fields are null', async (t) => {
  const body = JSON.stringify({ access_token: '', refresh_token: 1 });
  const { endpoints } = await startEndpoints(t, { body });
  t.strictSame(await refreshTokens(endpoints, TOKEN), {
    idToken: null,
    accessToken: null,
    refreshToken: null,
    problem: null,
  });
});

const PERMANENT: [status: number, body: unknown, reason: string][] = [
  [400, { error: { code: 'refresh_token_expired' } }, 'refresh_token_expired'],
  [400, { error: { code: 'refresh_token_reused' } }, 'refresh_token_reused'],
  [403, { error: 'refresh_token_invalidated' }, 'refresh_token_invalidated'],
  [400, { error: 'invalid_grant', error_description: 'x' }, 'invalid_grant'],
  [400, { code: 'refresh_token_reused' }, 'refresh_token_reused'],
  [401, 'nothing to read', 'status 401'],
  [401, { error: { code: 'anything' } }, 'anything'],
];
const TRANSIENT: [status: number, body: unknown, reason: string][] = [
  [400, { error: { code: 'server_error' } }, 'server_error'],
  [403, {}, 'status 403'],
  [429, {}, 'status 429'],
  [503, '<html>', 'status 503'],
  [500, { error: { code: 'server_error' } }, 'server_error'],
  [302, '', 'status 302'],
  [400, { error: { code: 'a secret with spaces' } }, 'status 400'],
  [400, { error: { message: 'refresh_token_expired' } }, 'status 400'],
];

for (const [permanent, cases] of [
  [true, PERMANENT],
  [false, TRANSIENT],
] as const) {
  for (const [status, body, reason] of cases) {
    t.test(
      `${status} ${JSON.stringify(body)} is ${permanent ? 'permanent' : 'transient'}`,
      async (t) => {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const { endpoints, server } = await startEndpoints(t, { status, body: text });
        const error = await failureOf(refreshTokens(endpoints, TOKEN));
        t.equal(error.kind, permanent ? 'permanent' : 'refused');
        t.equal(error.message, `the token endpoint refused the refresh: ${reason}`);
        t.equal(server.requests.length, 1);
      },
    );
  }
}

t.test('a failure of a gateway may hide that it was carried out', async (t) => {
  for (const status of [500, 502, 504, 520]) {
    const { endpoints } = await startEndpoints(t, { status, body: '<html>' });
    const error = await failureOf(refreshTokens(endpoints, TOKEN));
    t.equal(error.kind, 'unknown');
    t.equal(error.message, `the token endpoint answered ${status}`);
  }
});

for (const reaction of ['close', 'half an answer'] as const) {
  t.test(`an exchange that ends with ${reaction} is not repeated`, async (t) => {
    const { endpoints, server } = await startEndpoints(t, reaction);
    const limited: OAuthEndpoints = {
      ...endpoints,
      http: (request) => endpoints.http({ ...request, timeoutMs: 200 }),
    };
    const error = await failureOf(refreshTokens(limited, TOKEN));
    t.equal(error.kind, 'unknown');
    t.equal(server.requests.length, 1);
  });
}

t.test('an answer that is no JSON object is not repeated either', async (t) => {
  for (const body of ['', 'hush', '[]', 'null']) {
    const { endpoints, server } = await startEndpoints(t, { body });
    const error = await failureOf(refreshTokens(endpoints, TOKEN));
    t.equal(error.kind, 'unknown', 'for all we know it was carried out');
    t.notMatch(error.message, 'hush');
    t.equal(server.requests.length, 1);
  }
});

t.test('what never left this machine is tried three times', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  const plain = endpointsAt(t, `http://127.0.0.1:${port}`);
  let attempts = 0;
  const http: OAuthEndpoints['http'] = (request) => {
    attempts++;
    return plain.http(request);
  };
  const error = await failureOf(refreshTokens({ ...plain, http }, TOKEN));
  t.equal(error.kind, 'unsent');
  t.match(error.message, /^no response from the token endpoint: .+ \(\w+\)$/, 'the cause is named');
  t.equal(attempts, 3);
});

t.test('what may have been carried out is sent once, whatever the code of the error', async (t) => {
  for (const code of ['ECONNRESET', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 'ENOTFOUND']) {
    let attempts = 0;
    const http = () => {
      attempts++;
      return Promise.reject(new CallError('broken', { code, wasSent: true, partial: null }));
    };
    const endpoints = { ...endpointsAt(t, 'http://127.0.0.1:1'), http };
    t.equal((await failureOf(refreshTokens(endpoints, TOKEN))).kind, 'unknown');
    t.equal(attempts, 1, code);
  }
});

const FRESH = { id_token: 'i', access_token: 'a', refresh_token: 'r' };
const text = JSON.stringify(FRESH);
/** What a success may look like that is not the JSON object it should be, and the fields it gives. */
const ODD_SUCCESSES: [name: string, body: string | Buffer, kept: string, problem: RegExp | null][] =
  [
    ['a byte order mark', `\ufeff${text}`, 'iar', null],
    ['UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le'), 'iar', null],
    ['more than 256 KiB', JSON.stringify({ pad: 'x'.repeat(300 * 1024), ...FRESH }), 'iar', null],
    ['its end missing', text.slice(0, -2), 'ia-', /not a whole JSON object/],
    ['text before it', `)]}'\n${text}`, 'iar', /not a whole JSON object/],
    ['an object around it', JSON.stringify({ data: FRESH }), 'iar', null],
    [
      'a line break behind a token',
      JSON.stringify({ ...FRESH, access_token: 'a\r\n' }),
      'iar',
      null,
    ],
    [
      'a space in the access token',
      JSON.stringify({ ...FRESH, access_token: 'a b' }),
      'i-r',
      /header/,
    ],
    [
      'a line break in the access token',
      JSON.stringify({ ...FRESH, access_token: 'a\nb' }),
      'i-r',
      /header/,
    ],
    [
      'an id token beyond ASCII',
      JSON.stringify({ ...FRESH, id_token: 'ï' }),
      '-ar',
      /its id_token/,
    ],
    [
      'an access token that no server takes',
      JSON.stringify({ ...FRESH, access_token: 'a'.repeat(40_000) }),
      'i-r',
      /header/,
    ],
    [
      'a refresh token beyond ASCII',
      JSON.stringify({ ...FRESH, refresh_token: 'r ü' }),
      'iaR',
      null,
    ],
  ];
for (const [name, body, kept, problem] of ODD_SUCCESSES) {
  t.test(`of a success with ${name} what can be used is kept`, async (t) => {
    const { endpoints } = await startEndpoints(t, { body });
    const fresh = await refreshTokens(endpoints, TOKEN);
    const { idToken, accessToken, refreshToken } = fresh;
    const found = [idToken, accessToken, refreshToken].map((token) => token?.reveal() ?? '-');
    t.equal(found.join('').replace('r ü', 'R'), kept);
    if (problem) t.match(fresh.problem, problem);
    else t.equal(fresh.problem, null);
  });
}

t.test('of a success that breaks off, the tokens that came are kept', async (t) => {
  const { endpoints, server } = await startEndpoints(t, { breaksOffAfter: text.slice(0, -1) });
  const fresh = await refreshTokens(endpoints, TOKEN);
  t.equal(fresh.refreshToken?.reveal(), 'r');
  t.match(fresh.problem, /not a whole JSON object/);
  t.equal(server.requests.length, 1);
});

t.test('a refusal that breaks off is judged by its status', async (t) => {
  const { endpoints } = await startEndpoints(t, { status: 429, breaksOffAfter: '{"er' });
  t.equal((await failureOf(refreshTokens(endpoints, TOKEN))).kind, 'refused');
});

t.test('a response that takes longer than anybody waits is still received', async (t) => {
  const body = JSON.stringify({ access_token: 'a', refresh_token: 'r' });
  let respond: (response: { status: number; headers: object; text: string }) => void = () => {};
  const http: OAuthEndpoints['http'] = () =>
    new Promise((resolve) => {
      respond = (response) => resolve({ ...response, headers: {}, retryAfterMs: null });
    });
  const endpoints = { ...endpointsAt(t, 'http://127.0.0.1:1'), http, waitMs: 1 };
  const error = await failureOf(refreshTokens(endpoints, TOKEN));
  t.equal(error.kind, 'unknown');
  respond({ status: 200, headers: {}, text: body });
  t.equal((await error.late)?.refreshToken?.reveal(), 'r');
});

t.test('a revocation', async (t) => {
  const { endpoints, server } = await startEndpoints(t, {}, { status: 500 });
  await revokeToken(endpoints, TOKEN);
  t.strictSame(JSON.parse(server.requests[0]?.body ?? ''), {
    client_id: CODEX_CLIENT_ID,
    token: 'refresh-1',
    token_type_hint: 'refresh_token',
  });
  await t.rejects(revokeToken(endpoints, TOKEN), {
    message: 'the revocation endpoint answered 500',
  });
});
