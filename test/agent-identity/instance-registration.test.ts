import t from 'tap';
import { registerInstance } from '../../src/agent-identity/instance-registration.ts';
import { generateAgentKey } from '../../src/agent-identity/keys.ts';
import { RegistrationError } from '../../src/agent-identity/registration-call.ts';
import { Secret } from '../../src/base/secret.ts';
import type { Fault } from '../../src/emulator/index.ts';
import { type Backend, startBackend } from '../helpers/backend.ts';

const PATH = '/agent/register';
const INSTALLATION = '20ce8ece-c6dd-4928-8b8e-f4bb44bf94dc';

function register(backend: Backend) {
  const { emulator, http, now } = backend;
  const login = emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
  const actor = {
    type: 'oauth' as const,
    credential: new Secret(login.accessToken),
    accountId: 'account-1',
    userId: 'user-1',
  };
  const api = { url: emulator.url + PATH, http, now, sleep: async () => undefined };
  const key = generateAgentKey();
  const instance = { key, actor, installationId: INSTALLATION, version: '1.2.3' };
  const requests = () => emulator.records.filter(({ path }) => path === PATH);
  return { run: () => registerInstance(api, instance), requests, login, key };
}

t.test('the request is that of Codex, with our version', async (t) => {
  const backend = await startBackend(t);
  const { run, requests, login, key } = register(backend);
  t.match(await run(), /^runtime-instance/);
  const [request] = requests();
  t.strictSame(request?.body, {
    actor_auth: { type: 'oauth', credential: login.accessToken },
    agent_host_auth: { type: 'installation_id', installation_id: INSTALLATION },
    public_key: key.publicKeySsh,
    metadata: { harness: 'codex', harness_version: '1.2.3', role: 'orchestrator' },
  });
  t.equal(request?.headers.authorization, undefined);
  t.match(request?.headers['idempotency-key'], /^[0-9a-f-]{36}$/);
});

t.test('a lost response: the same idempotency key, and one instance', async (t) => {
  const backend = await startBackend(t);
  const { run, requests } = register(backend);
  backend.emulator.addFault({ path: PATH, action: 'cut' });
  await run();
  t.equal(backend.emulator.counts().instances, 1);
  t.equal(requests().length, 2);
  t.equal(new Set(requests().map(({ headers }) => headers['idempotency-key'])).size, 1);
});

const instance = (change: object) => ({
  runtime_agent_instance_id: 'x',
  agent_host_id: 'y',
  actor: { kind: 'chatgpt', user_id: 'user-1', account_id: 'account-1' },
  ...change,
});
const actor = (change: object) => ({
  body: instance({
    actor: { kind: 'chatgpt', user_id: 'user-1', account_id: 'account-1', ...change },
  }),
});
const FAILURES: [name: string, fault: Omit<Fault, 'path'>, attempts: number, message: RegExp][] = [
  ['201', { status: 201, body: instance({}) }, 1, /the authorization server answered 201/],
  ['403', { status: 403, body: { error: { code: 'runtime_host_conflict' } } }, 1, /answered 403/],
  ['429', { status: 429, times: 3 }, 3, /answered 429/],
  ['500', { status: 500, times: 3 }, 3, /answered 500/],
  ['no JSON', { body: 'x' }, 1, /is not a JSON object/],
  ['no id', { body: instance({ runtime_agent_instance_id: ' ' }) }, 1, /lacks runtime_agent/],
  [
    'an id that is too long',
    { body: instance({ runtime_agent_instance_id: 'x'.repeat(5000) }) },
    1,
    /no assertion can carry/,
  ],
  ['no actor', { body: instance({ actor: null }) }, 1, /names no ChatGPT account/],
  ['an actor of the platform', actor({ kind: 'platform' }), 1, /names no ChatGPT account/],
  ['another user', actor({ user_id: 'user-2' }), 1, /another account than the login/],
  ['another account', actor({ account_id: 'account-2' }), 1, /another account than the login/],
];

for (const [name, fault, attempts, message] of FAILURES) {
  t.test(`${name} is an error, after ${attempts} attempts`, async (t) => {
    const backend = await startBackend(t);
    const { run, requests } = register(backend);
    backend.emulator.addFault({ ...fault, path: PATH });
    await t.rejects(run(), { name: 'RegistrationError', message });
    t.equal(requests().length, attempts);
  });
}

t.test('an error keeps the code, and not the credential that it quotes', async (t) => {
  const backend = await startBackend(t);
  const { run, login } = register(backend);
  const message = `no: ${login.accessToken}`;
  const body = { error: { code: 'runtime_actor_invalid', message } };
  backend.emulator.addFault({ path: PATH, status: 403, body });
  const error = await run().catch((thrown: unknown) => thrown);
  t.ok(error instanceof RegistrationError && error.code === 'runtime_actor_invalid');
  t.match(String(error), 'no: [redacted]');
  t.notOk(String(error).includes(login.accessToken.slice(0, 30)));
});
