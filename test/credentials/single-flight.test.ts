import t from 'tap';
import { startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { isSignedBy, registeredKey } from '../helpers/verified-assertion.ts';

t.test('twenty requests at once make one agent and one run task', async (t) => {
  const subject = await startBackendWithLogin(t);
  const provider = await subject.start();
  const all = await Promise.all(Array.from({ length: 20 }, () => provider.headers()));
  t.equal(new Set(all).size, 1, 'one set of headers');
  t.equal(subject.agentRegistrations(), 1);
  t.equal(subject.taskRegistrations(), 1);
  t.ok(all[0] && isSignedBy(all[0], registeredKey(subject.emulator)));
});

t.test('preparation and requests share it', async (t) => {
  const subject = await startBackendWithLogin(t);
  const provider = await subject.start();
  await Promise.all([provider.prepare(), provider.headers(), provider.prepare()]);
  await provider.prepare();
  t.equal(subject.taskRegistrations(), 1);
});

t.test('two processes on one file register once', async (t) => {
  const subject = await startBackendWithLogin(t);
  const providers = await Promise.all([subject.start(), subject.start()]);
  const [one, two] = await Promise.all(providers.map((provider) => provider.headers()));
  t.equal(one?.authorization.reveal(), two?.authorization.reveal());
  t.equal(subject.agentRegistrations(), 1);
  t.equal(subject.taskRegistrations(), 1);
});
