import t from 'tap';
import type { Fault } from '../../src/emulator/index.ts';
import { JWKS } from '../helpers/backend.ts';
import { startBackendWithJwt } from '../helpers/backend-with-jwt.ts';
import { failureOf } from '../helpers/failure.ts';

const OUTAGES: [name: string, fault: Omit<Fault, 'path'>, problem: RegExp][] = [
  ['500', { status: 500 }, /it answered 500$/],
  ['404', { status: 404 }, /it answered 404$/],
  ['a redirect', { status: 302, headers: { location: 'https://evil.example' } }, /answered 302$/],
  ['a web page', { body: '<html>' }, /the response is not a JWKS$/],
  ['another object', { body: { keys: 'none' } }, /the response is not a JWKS$/],
  [
    'a cut connection',
    { action: 'reset' },
    /no usable response: it closed the connection .*\(\w+\)$/,
  ],
  ['half a response', { action: 'cut' }, /no usable response: .*\(\w+\)$/],
  [
    'more than any JWKS',
    { body: ' '.repeat(2 ** 21) },
    /no usable response: the response is larger than \d+ bytes$/,
  ],
];

for (const [name, fault, problem] of OUTAGES) {
  t.test(`a JWKS that answers with ${name} is an outage, over when it is over`, async (t) => {
    const { start, emulator, advance, taskRegistrations } = await startBackendWithJwt(t);
    emulator.addFault({ ...fault, path: JWKS });
    const provider = start();
    const error = await failureOf(() => provider.headers());
    t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.match(error.message, problem);
    t.equal(error.retryAfterSeconds, 60);
    t.equal(taskRegistrations(), 0, 'nothing is registered with an unverified token');
    advance(60_000);
    t.equal((await provider.headers()).kind, 'assertion');
  });
}

t.test('the JWKS has its own base, without /backend-api if it has none', async (t) => {
  const { start, emulator } = await startBackendWithJwt(t, '');
  await start().prepare();
  t.equal(emulator.records[0]?.path, '/agent-identities/jwks');
});
