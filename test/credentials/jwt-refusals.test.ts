import t from 'tap';
import type { IdentityTokenOptions } from '../../src/emulator/index.ts';
import { startBackendWithJwt } from '../helpers/backend-with-jwt.ts';
import { failureOf } from '../helpers/failure.ts';

const AT_ONCE: [name: string, options: IdentityTokenOptions, message: RegExp][] = [
  [
    'another issuer',
    { claims: { iss: 'https://evil.example' } },
    /claim iss: names another issuer/,
  ],
  ['another audience', { claims: { aud: 'codex-cli' } }, /claim aud: names another audience/],
  ['no expiry', { claims: { exp: undefined } }, /claim exp: is missing/],
  ['an expiry that has passed', { expiresInSeconds: -1 }, /claim exp: the token expired at 2026/],
  ['no agent', { claims: { agent_runtime_id: undefined } }, /claim agent_runtime_id: is missing/],
  ['no account', { claims: { account_id: undefined } }, /claim account_id: is missing/],
  ['a bad key', { claims: { agent_private_key: 'aHVzaA==' } }, /claim agent_private_key: is not/],
  ['no key id', { kid: null }, /header kid: is missing/],
];

for (const [name, options, message] of AT_ONCE) {
  t.test(`a token with ${name} is refused without any network`, async (t) => {
    const { start, emulator } = await startBackendWithJwt(t);
    const error = await failureOf(() => start(options));
    t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
    t.match(error.message, message);
    t.notMatch(error.message, 'aHVzaA==');
    t.equal(emulator.records.length, 0);
  });
}

const BY_THE_KEY_SET: [name: string, options: IdentityTokenOptions, message: RegExp][] = [
  ['an unknown key', { kid: 'another' }, /header kid: names no key of the JWKS/],
  ['a bad signature', { signWithUnknownKey: true }, /signature: does not verify/],
];

for (const [name, options, message] of BY_THE_KEY_SET) {
  t.test(`a token with ${name} is refused before anything is registered`, async (t) => {
    const { start, taskRegistrations } = await startBackendWithJwt(t);
    const provider = start(options);
    const error = await failureOf(() => provider.headers());
    t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
    t.match(error.message, message);
    t.equal(error.retryAfterSeconds, null, 'asking again does not help');
    t.equal(provider.status().state, 'unavailable');
    t.equal(taskRegistrations(), 0);
  });
}

t.test('a token that expires before it is verified is refused', async (t) => {
  const { start, advance, taskRegistrations } = await startBackendWithJwt(t);
  const provider = start({ expiresInSeconds: 60 });
  advance(120_000);
  const error = await failureOf(() => provider.headers());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(error.message, /claim exp: does not verify/);
  t.equal(taskRegistrations(), 0);
});
