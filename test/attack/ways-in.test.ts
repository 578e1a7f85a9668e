import type { ConnectionOptions } from 'node:tls';
import t, { type Test } from 'tap';
import type { Caller } from '../../src/access/caller.ts';
import { routesIn } from '../helpers/route-tree.ts';
import { MODELS, RESPONSES } from '../helpers/sidecar.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { type GuardedSidecar, startGuardedSidecar, TOKEN, tokenFor } from './guarded-sidecar.ts';
import { beginRaw, exchangeRaw } from './raw-exchange.ts';

// What a request is given that breaks one rule and keeps all others.
type Check =
  | 'nothing wrong'
  | 'another host'
  | 'no host'
  | 'an origin'
  | 'a page'
  | 'no token'
  | 'a wrong token'
  | 'a token for inference'
  | 'a token for codex'
  | 'no token, from elsewhere'
  | 'a certificate'
  | 'the certificate of a stranger'
  | 'a path with two readings'
  | 'a denied path'
  | 'draining';

type Outcome =
  /** Reaches the upstream. */
  | 'passes'
  /** Answered by an endpoint of the sidecar. */
  | 'own'
  /** The connection is closed without an answer. */
  | 'closed'
  /** Code of the refusal. */
  | `AUTH_${string}`;

/** A place to get in: a route of the server, or something that goes past its routes. */
type Row = [
  way: string,
  request: { line: string; odd: string; denied: string; headers?: string },
  outcomes: Record<Check, Outcome>,
];

const HANDSHAKE =
  'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const ODD = '/backend-api/./codex/models';
const DENIED = '/backend-api/wham/remote/control';
/** Its answer never ends by itself. */
const EVENTS = '/auth/events';

const REFUSALS = {
  'another host': 'AUTH_HOST_NOT_ALLOWED',
  'no host': 'AUTH_HOST_NOT_ALLOWED',
  'an origin': 'AUTH_ORIGIN_NOT_ALLOWED',
  'a page': 'AUTH_ORIGIN_NOT_ALLOWED',
  'no token': 'AUTH_CLIENT_TOKEN',
  'a wrong token': 'AUTH_CLIENT_TOKEN',
  'no token, from elsewhere': 'AUTH_CLIENT_TOKEN',
  'the certificate of a stranger': 'AUTH_CLIENT_TOKEN',
  'a path with two readings': 'AUTH_PATH_INVALID',
  'a denied path': 'AUTH_ROUTE_DENIED',
} as const;

/** The proxy: everything is asked for, and nothing new during a drain. */
const proxied = {
  'nothing wrong': 'passes',
  'a certificate': 'passes',
  'a token for inference': 'passes',
  'a token for codex': 'passes',
  ...REFUSALS,
  draining: 'AUTH_DRAINING',
} as const;
/** The proxy, on a path that no client of the Responses API needs. */
const forCodex = { ...proxied, 'a token for inference': 'AUTH_ROUTE_DENIED' } as const;
/** The proxy, where no rule of the default routes allows a path. */
const unknown = {
  ...proxied,
  'nothing wrong': 'AUTH_ROUTE_DENIED',
  'a certificate': 'AUTH_ROUTE_DENIED',
  'a token for inference': 'AUTH_ROUTE_DENIED',
  'a token for codex': 'AUTH_ROUTE_DENIED',
} as const;
/** Where there is no route, during a drain either. */
const unserved = { ...unknown, draining: 'AUTH_ROUTE_DENIED' } as const;
/** Where only a token is not asked for, from this machine. */
const own = {
  ...REFUSALS,
  'nothing wrong': 'own',
  'a certificate': 'own',
  'a token for inference': 'own',
  'a token for codex': 'own',
  'the certificate of a stranger': 'own',
  'no token': 'own',
  'a wrong token': 'own',
  draining: 'own',
} as const;
/** What is refused for its form is refused before anybody asks who sent it. */
const always = (outcome: Outcome) =>
  Object.fromEntries(Object.keys(proxied).map((check) => [check, outcome])) as Row[2];

const line = (method: string, path: string) => ({
  line: `${method} ${path}`,
  odd: `${method} ${path.replace('/', '/./')}`,
  denied: `${method} ${DENIED}`,
});

const TABLE: Row[] = [
  ['/backend-api', line('GET', '/backend-api'), unknown],
  ['/backend-api/', { ...line('GET', MODELS), line: 'GET /backend-api?x' }, unknown],
  ['the account', line('GET', '/backend-api/me'), unknown],
  ['the chats', line('GET', '/backend-api/conversations'), unknown],
  ['/backend-api/*', line('GET', MODELS), proxied],
  ['/backend-api/codex/*', line('GET', '/backend-api/codex/alpha/history/v2/x'), forCodex],
  ['/backend-api/wham/*', line('GET', '/backend-api/wham/usage'), forCodex],
  ['/backend-api/ps/*', line('GET', '/backend-api/ps/plugins/list'), forCodex],
  ['/backend-api/plugins/*', line('GET', '/backend-api/plugins/featured'), forCodex],
  ['/backend-api/connectors/*', line('GET', '/backend-api/connectors/directory/list'), forCodex],
  ['/backend-api/files/*', line('GET', '/backend-api/files/a'), forCodex],
  [
    '/backend-api/*, with a body',
    { ...line('POST', RESPONSES), headers: 'content-length: 0\r\n' },
    proxied,
  ],
  ['/backend-api/*, upgrade', { ...line('GET', RESPONSES), headers: HANDSHAKE }, proxied],
  [
    '/backend-api/*, another upgrade',
    { ...line('GET', MODELS), headers: 'connection: upgrade\r\nupgrade: h2c\r\n' },
    proxied,
  ],
  ['/v1/models', line('GET', '/v1/models'), proxied],
  [
    '/v1/responses',
    { ...line('POST', '/v1/responses'), headers: 'content-length: 0\r\n' },
    proxied,
  ],
  [
    '/v1/responses/compact',
    { ...line('POST', '/v1/responses/compact'), headers: 'content-length: 0\r\n' },
    proxied,
  ],
  ['/v1/responses, upgrade', { ...line('GET', '/v1/responses'), headers: HANDSHAKE }, proxied],
  ['/v1/models, encoded', line('GET', '/v1/%6dodels'), proxied],
  ['/v1/chat/completions', line('POST', '/v1/chat/completions'), unserved],
  ['/v1/other', line('GET', '/v1/other'), unserved],
  ['/', { ...line('GET', '/'), headers: 'accept: text/html\r\n' }, own],
  ['/auth/status', line('GET', '/auth/status'), own],
  ['/auth/status, upgrade', { ...line('GET', '/auth/status'), headers: HANDSHAKE }, own],
  [EVENTS, line('GET', EVENTS), { ...own, draining: 'AUTH_DRAINING' }],
  ['/auth/clients', line('GET', '/auth/clients'), own],
  ['/metrics', line('GET', '/metrics'), own],
  ['/livez', line('GET', '/livez'), { ...own, 'no token, from elsewhere': 'own' }],
  ['/readyz', line('GET', '/readyz'), { ...own, 'no token, from elsewhere': 'own' }],
  [
    '/auth/reload',
    line('POST', '/auth/reload'),
    {
      ...unknown,
      // Both are for the model; a reload is for the operator.
      'nothing wrong': 'own',
      'a certificate': 'own',
      draining: 'own',
    },
  ],
  // Its token comes in the body; test/attack/phantom-login.test.ts has what it refuses there.
  [
    '/oauth/token',
    {
      ...line('POST', '/oauth/token'),
      headers: 'content-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
    },
    {
      ...own,
      'nothing wrong': 'AUTH_REQUEST_INVALID',
      'a certificate': 'AUTH_REQUEST_INVALID',
      'a token for inference': 'AUTH_REQUEST_INVALID',
      'a token for codex': 'AUTH_REQUEST_INVALID',
      'the certificate of a stranger': 'AUTH_REQUEST_INVALID',
      'no token': 'AUTH_REQUEST_INVALID',
      'a wrong token': 'AUTH_REQUEST_INVALID',
      'no token, from elsewhere': 'AUTH_REQUEST_INVALID',
      draining: 'AUTH_REQUEST_INVALID',
    },
  ],
  // For the sidecar's own page; test/attack/sign-in.test.ts has what it refuses to others.
  [
    '/auth/sign-in',
    line('POST', '/auth/sign-in'),
    {
      ...always('AUTH_ORIGIN_NOT_ALLOWED'),
      'another host': 'AUTH_HOST_NOT_ALLOWED',
      'no host': 'AUTH_HOST_NOT_ALLOWED',
      'a path with two readings': 'AUTH_PATH_INVALID',
      'a denied path': 'AUTH_ROUTE_DENIED',
    },
  ],
  ['no route', line('GET', '/nowhere'), unserved],
  ['no route, upgrade', { ...line('GET', '/nowhere'), headers: HANDSHAKE }, unserved],
  ['a method without a route', line('TRACE', MODELS), unserved],
  [
    'absolute form',
    {
      line: `GET http://localhost${MODELS}`,
      odd: `GET http://localhost${ODD}`,
      denied: `GET http://localhost${DENIED}`,
    },
    always('AUTH_PATH_INVALID'),
  ],
  [
    'absolute form, upgrade',
    {
      line: `GET http://localhost${RESPONSES}`,
      odd: `GET http://localhost${ODD}`,
      denied: `GET http://localhost${DENIED}`,
      headers: HANDSHAKE,
    },
    always('AUTH_PATH_INVALID'),
  ],
  [
    'absolute form of an own endpoint',
    {
      line: 'GET http://localhost/livez',
      odd: 'GET http://localhost/./livez',
      denied: `GET http://localhost${DENIED}`,
    },
    always('AUTH_PATH_INVALID'),
  ],
  [
    'CONNECT',
    { line: 'CONNECT evil.example:443', odd: `CONNECT ${ODD}`, denied: `CONNECT ${DENIED}` },
    always('AUTH_ROUTE_DENIED'),
  ],
  [
    'a path that the router cannot decode',
    { line: 'GET /%zz', odd: 'GET /./%zz', denied: `GET ${DENIED}/%zz` },
    always('AUTH_PATH_INVALID'),
  ],
  [
    'not well-formed',
    { ...line('GET', MODELS), headers: 'expect: x\r\n' },
    always('AUTH_REQUEST_INVALID'),
  ],
  [
    'not well-formed, upgrade',
    { ...line('GET', RESPONSES), headers: `${HANDSHAKE}expect: x\r\n` },
    always('AUTH_REQUEST_INVALID'),
  ],
  [
    'no HTTP',
    { line: 'NO HTTP', odd: `NO ${ODD}`, denied: `NO ${DENIED}` },
    always('AUTH_REQUEST_INVALID'),
  ],
];

/** Which checks look at what is known of a caller: what is added to it needs one as well. */
const CHECKS_OF: Record<keyof Caller, Check[]> = {
  local: ['no token, from elsewhere'],
  host: ['another host', 'no host'],
  localAddress: ['another host'],
  origin: ['an origin'],
  // Part of the own origin, which one way only asks for.
  encrypted: ['an origin'],
  secFetchSite: ['a page'],
  authorization: ['a wrong token', 'no token'],
  sidecarToken: ['nothing wrong', 'a token for inference', 'a token for codex'],
  certificate: ['a certificate', 'the certificate of a stranger'],
};

function textOf([, { line, odd, denied, headers = '' }]: Row, check: Check): string {
  const target =
    { 'a path with two readings': odd, 'a denied path': denied }[check as string] ?? line;
  const host = { 'no host': '', 'another host': 'host: evil.example\r\n' }[check as string];
  const token = {
    'no token': '',
    'no token, from elsewhere': '',
    'a certificate': '',
    'the certificate of a stranger': '',
    'a wrong token': 'authorization: Bearer wrong\r\n',
    'a token for inference': `x-sidecar-token: ${tokenFor('inference')}\r\n`,
    'a token for codex': `x-sidecar-token: ${tokenFor('codex')}\r\n`,
  }[check as string];
  const more = {
    'an origin': 'origin: https://evil.example\r\n',
    'a page': 'sec-fetch-site: cross-site\r\n',
  }[check as string];
  return [
    `${target} HTTP/1.1\r\n`,
    host ?? 'host: localhost\r\n',
    token ?? `x-sidecar-token: ${TOKEN}\r\n`,
    more ?? '',
    `${headers}\r\n`,
  ].join('');
}

async function tryWay(
  stand: GuardedSidecar,
  row: Row,
  check: Check,
  shown: ConnectionOptions,
): Promise<Outcome> {
  const before = stand.seen.length;
  const text = textOf(row, check);
  const { answers } =
    row[0] === EVENTS
      ? { answers: [await beginRaw(stand.dial(shown), text)] }
      : await exchangeRaw(stand.dial(shown), text);
  const reached = stand.seen.length - before;
  const [answer] = answers;
  if (!answer) return reached === 0 ? 'closed' : 'passes';
  if (answer.code !== null && reached === 0) return answer.code as Outcome;
  return reached > 0 ? 'passes' : 'own';
}

async function tryAll(
  t: Test,
  stand: GuardedSidecar,
  checks: Check[],
  expected = outcomeOf,
  shownFor: (check: Check) => ConnectionOptions = () => ({}),
): Promise<void> {
  for (const row of TABLE) {
    for (const check of checks) {
      const outcome = await tryWay(stand, row, check, shownFor(check));
      t.equal(outcome, expected(row, check), `${row[0]}: ${check}`);
    }
  }
}

const outcomeOf = ([, , outcomes]: Row, check: Check): Outcome => outcomes[check];
/** A host name means nothing there. */
const viaSocket = (row: Row, check: Check): Outcome =>
  outcomeOf(row, check.endsWith('host') ? 'nothing wrong' : check);

const ELSEWHERE: Check = 'no token, from elsewhere';
const CERTIFICATES: Check[] = ['a certificate', 'the certificate of a stranger'];
const HERE = (Object.keys(proxied) as Check[]).filter(
  (check) => check !== 'draining' && check !== ELSEWHERE && !CERTIFICATES.includes(check),
);

t.test('every route has its row, and every check its column', async (t) => {
  const { sidecar } = await startGuardedSidecar(t);
  const paths = routesIn(sidecar.app.printRoutes({ commonPrefix: false })).map(({ path }) => path);
  t.ok(paths.length >= 6, paths.join(' '));
  const ways = TABLE.map(([way]) => way);
  for (const path of paths) t.ok(ways.includes(path), `${path} has a row`);
  for (const [what, checks] of Object.entries(CHECKS_OF)) t.ok(checks.length > 0, what);
});

t.test('over TCP', async (t) => tryAll(t, await startGuardedSidecar(t), HERE));

t.test('through a Unix socket', async (t) => {
  await tryAll(t, await startGuardedSidecar(t, { viaSocket: true }), HERE, viaSocket);
});

t.test('over TLS', async (t) => {
  const tls = await makeTls(t, ['agent.example routes=/*']);
  const stand = await startGuardedSidecar(t, { tls });
  const shown = {
    'a certificate': tls.client({ names: ['DNS:agent.example'] }),
    'the certificate of a stranger': tls.client({ names: ['DNS:stranger.example'] }),
  };
  const shownFor = (check: Check) => shown[check as keyof typeof shown] ?? {};
  await tryAll(t, stand, [...HERE, ...CERTIFICATES], outcomeOf, shownFor);
});

t.test('from another machine', async (t) => {
  const stand = await startGuardedSidecar(t);
  stand.sidecar.app.server.prependListener('connection', (socket) => {
    Object.defineProperty(socket, 'remoteAddress', { value: '192.0.2.1' });
  });
  await tryAll(t, stand, [ELSEWHERE]);
});

t.test('during a drain', async (t) => {
  const stand = await startGuardedSidecar(t);
  await stand.sidecar.drain();
  await tryAll(t, stand, ['draining']);
});
