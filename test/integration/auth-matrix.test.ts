import t, { type Test } from 'tap';
import type { Emulator, EmulatorRecord } from '../../src/emulator/index.ts';
import {
  apiKey,
  type GivenCredential,
  identityRecord,
  identityToken,
  invalidFile,
  login,
  loginWithIdentity,
  nothing,
  personalAccessToken,
} from '../helpers/credentials.ts';
import { type Answer, localError, send } from '../helpers/exchange.ts';
import { type SidecarWithEmulator, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

// One path for each rule of the default table, and both ways to ask for the first of them.
const ROUTES = {
  responses: 'POST /backend-api/codex/responses',
  upgrade: 'UPGRADE /backend-api/codex/responses',
  compact: 'POST /backend-api/codex/responses/compact',
  jwks: 'GET /backend-api/wham/agent-identities/jwks',
  remote: 'POST /backend-api/wham/remote/control/start',
  models: 'GET /backend-api/codex/models',
  usage: 'GET /backend-api/wham/usage',
} as const;

type Route = keyof typeof ROUTES;
/** What goes upstream, or the status and code of a local error. */
type Outcome = 'assertion' | 'bearer' | 'nothing' | `${number} ${string}`;

const DENIED = '403 AUTH_ROUTE_DENIED';
const NO_BEARER = '403 AUTH_NO_BEARER';
const OPEN_ROUTES = { jwks: 'nothing', remote: DENIED } as const;

const BEARER_EVERYWHERE: Record<Route, Outcome> = {
  ...OPEN_ROUTES,
  responses: 'bearer',
  upgrade: 'bearer',
  compact: 'bearer',
  models: 'bearer',
  usage: 'bearer',
};
const ASSERTION_AND_BEARER: Record<Route, Outcome> = {
  ...BEARER_EVERYWHERE,
  responses: 'assertion',
  upgrade: 'assertion',
  compact: 'assertion',
};
const ASSERTION_ONLY: Record<Route, Outcome> = {
  ...ASSERTION_AND_BEARER,
  models: NO_BEARER,
  usage: NO_BEARER,
};
const failing = (outcome: Outcome): Record<Route, Outcome> => ({
  ...OPEN_ROUTES,
  responses: outcome,
  upgrade: outcome,
  compact: outcome,
  models: outcome,
  usage: outcome,
});

const MATRIX: [string, (emulator: Emulator) => GivenCredential, Record<Route, Outcome>][] = [
  ['an API key', apiKey, { ...BEARER_EVERYWHERE, usage: DENIED }],
  ['a ChatGPT login, jwtOnly', login, BEARER_EVERYWHERE],
  ['a ChatGPT login, chatgptAuth', loginWithIdentity, ASSERTION_AND_BEARER],
  ['a personal access token', personalAccessToken, BEARER_EVERYWHERE],
  ['an Agent Identity JWT', identityToken, ASSERTION_ONLY],
  ['an identity record alone', identityRecord, ASSERTION_ONLY],
  ['no credential', nothing, failing('400 AUTH_NOT_CONFIGURED')],
  ['an invalid auth.json', invalidFile, failing('400 AUTH_CREDENTIAL_INVALID')],
];

for (const [name, give, outcomes] of MATRIX) {
  t.test(name, async (t) => {
    let given = nothing();
    const stack = await startSidecarWithEmulator(t, {
      credential: (emulator) => {
        given = give(emulator);
        return given;
      },
    });
    for (const route of Object.keys(ROUTES) as Route[]) {
      await t.test(`${ROUTES[route]}: ${outcomes[route]}`, (t) =>
        checkRoute(t, stack, given, route, outcomes[route]),
      );
    }
  });
}

async function checkRoute(
  t: Test,
  { url, emulator }: SidecarWithEmulator,
  given: GivenCredential,
  route: Route,
  outcome: Outcome,
): Promise<void> {
  const [method = '', path = ''] = ROUTES[route].split(' ');
  const seenBefore = emulator.records.length;
  const answer = await ask(url + path, method);
  const seen = emulator.records.slice(seenBefore).filter((record) => !isRegistration(record));
  const [status, code] = outcome.split(' ');
  if (code !== undefined) {
    localError(t, answer, Number(status), code);
    t.strictSame(seen, [], 'nothing went upstream');
    return;
  }
  t.equal(answer.status, method === 'UPGRADE' ? 101 : 200);
  t.equal(answer.headers['x-sidecar-error'], undefined);
  const [record] = seen;
  t.equal(seen.length, 1);
  if (!record) return;
  const withKey = given.env?.CODEX_API_KEY !== undefined && outcome === 'bearer';
  t.equal(record.path, withKey ? path.replace('/backend-api/codex', '/v1') : path);
  checkCredential(t, record, given, outcome);
}

/** Exactly the credential headers that belong there, each of them once. */
function checkCredential(
  t: Test,
  record: EmulatorRecord,
  given: GivenCredential,
  outcome: Outcome,
): void {
  const found = credentialHeaders(record);
  const account = given.accountId === null ? [] : [['chatgpt-account-id', given.accountId]];
  if (outcome === 'nothing') {
    t.strictSame(found, []);
  } else if (outcome === 'bearer') {
    t.strictSame(found, [['authorization', given.bearer], ...account]);
    t.equal(record.auth.verified, true);
  } else {
    t.strictSame(found, [['authorization', record.headers.authorization], ...account]);
    t.match(record.headers.authorization, /^AgentAssertion [\w-]+$/);
    t.match(record.auth, { kind: 'assertion', verified: true, problem: null });
  }
}

function credentialHeaders({ rawHeaders }: EmulatorRecord): string[][] {
  const pairs: string[][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const pair = [rawHeaders[i]?.toLowerCase() ?? '', rawHeaders[i + 1] ?? ''];
    if (/^(authorization|cookie|chatgpt-|openai-|x-openai-)/.test(pair[0] ?? '')) pairs.push(pair);
  }
  return pairs;
}

/** As a client would that has credentials of its own. */
function ask(url: string, method: string): Promise<Answer> {
  const headers = {
    authorization: 'Bearer of-the-client',
    'chatgpt-account-id': 'of-the-client',
    'x-openai-fedramp': 'true',
    cookie: 'session=of-the-client',
  };
  if (method === 'UPGRADE') return tryUpgrade(url, headers);
  if (method === 'GET') return send(url, { headers });
  const json = { ...headers, 'content-type': 'application/json' };
  return send(url, { method, headers: json, body: '{"input":[]}' });
}

// Made by the sidecar itself, for whichever route needs it first; a client asks for the JWKS with a
// user agent of its own, or none.
function isRegistration({ path, headers }: EmulatorRecord): boolean {
  const own = headers['user-agent']?.startsWith('codex-auth-sidecar') ?? false;
  return path.startsWith('/api/accounts/') || own;
}
