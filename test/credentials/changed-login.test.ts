import { existsSync, rmSync } from 'node:fs';
import t from 'tap';
import { type BackendWithLogin, startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { failureOf } from '../helpers/failure.ts';

const CHANGES: [name: string, change: (subject: BackendWithLogin) => object, message: RegExp][] = [
  [
    'another account',
    ({ emulator }) => emulator.issueLogin({ accountId: 'account-2', userId: 'user-1' }).authJson,
    /tokens: belong to another account than at start/,
  ],
  [
    'another user',
    ({ emulator }) => emulator.issueLogin({ accountId: 'account-1', userId: 'user-2' }).authJson,
    /tokens: belong to another account than at start/,
  ],
  [
    'an API key',
    () => ({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk' }),
    /tokens: were removed since the start/,
  ],
];

for (const [name, change, message] of CHANGES) {
  t.test(`a file that holds ${name} by then is an error and stays as it is`, async (t) => {
    const subject = await startBackendWithLogin(t);
    const provider = await subject.start();
    subject.home.write(change(subject));
    const before = subject.home.text();
    const error = await failureOf(() => provider.headers());
    t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
    t.match(error.message, message);
    t.equal(subject.agentRegistrations(), 0);
    t.equal(subject.home.text(), before);
  });
}

t.test('a file that is gone by then is not made again', async (t) => {
  const subject = await startBackendWithLogin(t);
  const provider = await subject.start();
  rmSync(subject.home.path);
  const error = await failureOf(() => provider.headers());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.equal(subject.agentRegistrations(), 0);
  t.notOk(existsSync(subject.home.path));
});

t.test('a record alone that is gone by then is not made again', async (t) => {
  const subject = await startBackendWithLogin(t);
  await (await subject.start()).prepare();
  subject.home.write({ agent_identity: { ...subject.storedRecord(), task_id: '' } });
  const provider = await subject.start();
  subject.home.write({});
  const error = await failureOf(() => provider.headers());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(error.message, /agent_identity: was removed since the start/);
  t.equal(subject.home.text(), '{}');
});

t.test('new tokens of the same account are no change', async (t) => {
  const subject = await startBackendWithLogin(t);
  const provider = await subject.start();
  const login = subject.emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
  subject.home.write(login.authJson);
  t.equal((await provider.headers()).kind, 'assertion');
  t.strictSame(subject.home.read().tokens, login.authJson.tokens);
});
