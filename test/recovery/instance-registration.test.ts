import t from 'tap';
import type { Fault } from '../../src/emulator/index.ts';
import {
  infer,
  RESPONSES,
  startSidecarWithClock,
  withInstance,
} from '../helpers/sidecar-with-clock.ts';

const REGISTER = '/agent/register';

const REVOKED = { error: { code: 'runtime_instance_revoked' } };
const BAD: [name: string, fault: Omit<Fault, 'path'>, attempts: number, message: RegExp][] = [
  ['201', { status: 201, body: { runtime_agent_instance_id: 'x' } }, 1, /answered 201/],
  ['garbage', { body: 'garbage' }, 1, /is not a JSON object/],
  ['403', { status: 403, body: { error: { code: 'runtime_actor_invalid' } } }, 1, /answered 403/],
  ['429', { status: 429, times: 3 }, 3, /answered 429/],
  ['nothing', { action: 'empty', times: 3 }, 3, /no response/],
  [
    'the instance of another account',
    {
      body: {
        runtime_agent_instance_id: 'x',
        agent_host_id: 'y',
        actor: { kind: 'chatgpt', user_id: 'user', account_id: 'another' },
      },
    },
    1,
    /another account/,
  ],
];

for (const [name, fault, attempts, message] of BAD) {
  t.test(`a registration that is answered with ${name}: 503, and never a bearer`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: withInstance('assertionOnly') });
    scene.emulator.addFault({ path: REGISTER, ...fault });
    const refused = await infer(scene);
    t.equal(refused.code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.match(refused.text, message);
    t.equal(refused.headers.get('retry-after'), '60');
    t.equal((await infer(scene)).code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.equal(scene.count(REGISTER), attempts, 'and there is a pause');
    t.equal(scene.count(RESPONSES), 0, 'nothing went to the backend');
    t.match((await scene.status()).agentIdentity, { state: 'unavailable', lastError: message });
    scene.time.advance(60_000);
    t.equal((await infer(scene)).status, 200, 'the next try succeeds');
  });
}

t.test('a registration that says runtime_instance_revoked is final', async (t) => {
  const scene = await startSidecarWithClock(t, { config: withInstance('dual') });
  scene.emulator.addFault({ path: REGISTER, status: 403, body: REVOKED });
  t.equal((await infer(scene)).code, 'AUTH_IDENTITY_REVOKED');
  scene.time.advance(3_600_000);
  t.equal((await infer(scene)).code, 'AUTH_IDENTITY_REVOKED');
  t.equal(scene.count(REGISTER), 1);
});

t.test('onUnavailable: bearer is said, and logged at each time that it begins', async (t) => {
  const config = withInstance('dual', { onUnavailable: 'bearer' });
  const scene = await startSidecarWithClock(t, { config });
  const degradations = () => scene.log.filter((line) => line.includes('sending the bearer')).length;
  scene.emulator.addFault({ path: REGISTER, status: 403 });
  t.equal((await infer(scene)).status, 200);
  t.equal((await infer(scene)).status, 200);
  t.match(await scene.status(), { status: 'degraded', requests: { degraded: 2 } });
  t.equal(degradations(), 1);
  scene.time.advance(60_000);
  t.equal((await infer(scene)).status, 200);
  t.match((await scene.status()).status, 'ready');
});
