import t from 'tap';
import {
  buildStatus,
  isUsable,
  mask,
  overallStatus,
  type StatusInput,
} from '../../src/admin/status.ts';
import type { SharedStoreStatus } from '../../src/auth-store/store.ts';
import { SidecarError } from '../../src/base/errors.ts';
import type { CredentialSnapshot } from '../../src/credentials/snapshot.ts';
import { DEFAULT_ROUTES } from '../../src/proxy/routes.ts';

const CREDENTIAL: CredentialSnapshot = {
  from: 'auth.json',
  state: 'ready',
  mode: 'chatgpt',
  account: {
    id: 'account-0123456789',
    email: 'someone@example.com',
    planType: 'pro',
    fedramp: true,
  },
  identity: {
    state: 'ready',
    form: 'runTask',
    headers: 'assertionOnly',
    source: 'registered',
    agentRuntimeId: 'agent-1',
    publicKey: 'SHA256:abc',
    taskId: 'task_0123456789',
    taskRegisteredAt: '2026-11-20T21:30:36.000Z',
    runtimeInstanceId: null,
    runtimeInstanceRegisteredAt: null,
    lastRejection: null,
    lastError: null,
  },
  bearer: { state: 'valid', expiresAt: null, lastRefreshAt: null, lastError: null },
  unwritten: false,
  error: null,
};

const FILE = { kind: 'file', location: '/home/.codex/auth.json', lastError: null } as const;

const INPUT: StatusInput = {
  version: '1.2.3',
  uptimeMs: 12_999,
  policy: 'chatgptAuth',
  draining: false,
  upstreamOrigins: { chatgpt: 'https://chatgpt.example', openai: 'https://openai.example' },
  routes: DEFAULT_ROUTES,
  credential: CREDENTIAL,
  store: FILE,
  traffic: {
    connections: { http: 3, websocket: 1 },
    requests: { assertion: 17, bearer: 4, degraded: 1, denied: 2 },
    lastStatus: 200,
    lastResponseAt: '2026-11-20T21:30:37.000Z',
  },
  accountLimits: [],
  clockSkewSeconds: -1,
  certificate: null,
};

t.test('the whole document, and nothing whole that is private', async (t) => {
  t.strictSame(buildStatus(INPUT), {
    status: 'ready',
    version: '1.2.3',
    uptimeSeconds: 12,
    authMode: 'chatgpt',
    credentialSource: 'auth.json',
    planType: 'pro',
    account: { id: 'acco…6789', email: 's…@example.com', fedramp: true },
    usesCodexBackend: true,
    agentIdentity: {
      policy: 'chatgptAuth',
      state: 'ready',
      form: 'runTask',
      headers: 'assertionOnly',
      source: 'registered',
      agentRuntimeId: 'agent-1',
      publicKey: 'SHA256:abc',
      taskId: 'task…6789',
      taskRegisteredAt: '2026-11-20T21:30:36.000Z',
      runtimeInstanceId: null,
      runtimeInstanceRegisteredAt: null,
      lastRejection: null,
      lastError: null,
    },
    bearer: { state: 'valid', expiresAt: null, lastRefreshAt: null, lastError: null },
    upstream: {
      origin: 'https://chatgpt.example',
      lastStatus: 200,
      lastResponseAt: '2026-11-20T21:30:37.000Z',
      clockSkewSeconds: -1,
    },
    routes: DEFAULT_ROUTES,
    connections: { http: 3, websocket: 1 },
    requests: { assertion: 17, bearer: 4, degraded: 1, denied: 2 },
    accountLimits: [],
    listener: { protocol: 'http', certificate: null },
    store: { ...FILE, unwritten: false },
  });
});

const SHARED: SharedStoreStatus = {
  kind: 'postgres',
  location: 'db:5432/auth#default',
  reachable: true,
  lastContactAt: '2026-11-20T21:30:36.250Z',
  lastError: null,
  version: 41,
  login: 1_795_000_000,
  rotation: 17,
  keyId: 'abcdefgh',
  synchronous: true,
  refresh: { state: 'idle', by: null, since: null, code: null, ageSeconds: 0 },
  writtenBack: 0,
};

t.test('a shared store that may not hold the next tokens degrades the status', async (t) => {
  const statusOf = (change: Partial<SharedStoreStatus>) =>
    overallStatus(CREDENTIAL, { ...SHARED, ...change }, false);
  const refresh = (state: SharedStoreStatus['refresh']['state']) =>
    statusOf({ refresh: { ...SHARED.refresh, state } });
  t.equal(statusOf({}), 'ready');
  t.equal(statusOf({ reachable: false }), 'degraded');
  t.equal(refresh('underWay'), 'ready');
  t.equal(refresh('uncertain'), 'degraded');
  t.equal(refresh('over'), 'degraded');
  t.strictSame(buildStatus({ ...INPUT, store: SHARED }).store, { ...SHARED, unwritten: false });
});

t.test('an API key belongs to the OpenAI API', async (t) => {
  const account = { id: null, email: null, planType: null, fedramp: false };
  const status = buildStatus({ ...INPUT, credential: { ...CREDENTIAL, mode: 'apikey', account } });
  t.equal(status.usesCodexBackend, false);
  t.equal(status.upstream.origin, 'https://openai.example');
  t.strictSame(status.account, { id: null, email: null, fedramp: false });
});

t.test('without a credential the reason shows', async (t) => {
  const status = buildStatus({
    ...INPUT,
    credential: {
      ...CREDENTIAL,
      state: 'unauthenticated',
      mode: null,
      account: null,
      error: new SidecarError('AUTH_NOT_CONFIGURED', 'no credential'),
    },
  });
  t.match(status, { status: 'unauthenticated', authMode: null, account: null, planType: null });
  t.equal(status.usesCodexBackend, false);
  t.equal(status.agentIdentity.lastError, 'no credential');
});

t.test('the state of the credential is the status, unless a drain runs', async (t) => {
  const states = {
    waiting: 'starting',
    starting: 'starting',
    ready: 'ready',
    failed: 'failed',
  } as const;
  for (const [state, expected] of Object.entries(states)) {
    const credential = { ...CREDENTIAL, state: state as keyof typeof states };
    t.equal(overallStatus(credential, FILE, false), expected);
    t.equal(overallStatus(credential, FILE, true), 'draining');
  }
});

t.test(
  'a login that nothing can lock is degraded; what is never written needs no lock',
  async (t) => {
    const unlocked = { ...FILE, lastError: 'auth.json is used without a lock' };
    const of = (mode: 'chatgpt' | 'apikey') =>
      overallStatus({ ...CREDENTIAL, state: 'ready', mode }, unlocked, false);
    t.equal(of('chatgpt'), 'degraded');
    t.equal(of('apikey'), 'ready');
  },
);

t.test('usable is what could authenticate a request', async (t) => {
  for (const status of ['ready', 'degraded'] as const) t.ok(isUsable(status), status);
  for (const status of ['starting', 'unauthenticated', 'failed', 'draining'] as const) {
    t.notOk(isUsable(status), status);
  }
});

t.test('what is too short to be cut shows nothing', async (t) => {
  t.equal(mask(null), null);
  t.equal(mask('12345678901'), '…');
  t.equal(mask('123456789012'), '1234…9012');
  const account = { id: 'short', email: 'no address', planType: null, fedramp: false };
  const status = buildStatus({ ...INPUT, credential: { ...CREDENTIAL, account } });
  t.strictSame(status.account, { id: '…', email: '…', fedramp: false });
});
