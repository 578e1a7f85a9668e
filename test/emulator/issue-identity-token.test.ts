import type { JSONWebKeySet } from 'jose';
import t from 'tap';
import {
  decodeIdentityToken,
  jwksUrl,
  parseJwks,
  verifyIdentityToken,
} from '../../src/agent-identity/identity-token.ts';
import { Secret } from '../../src/base/secret.ts';
import { call, registerTask, start } from './client.ts';

async function check(token: string, jwks: JSONWebKeySet) {
  const claims = decodeIdentityToken(new Secret(token), Date.now());
  await verifyIdentityToken(new Secret(token), jwks, Date.now());
  return claims;
}

t.test('issues identity tokens that verify, for agents that can register a task', async (t) => {
  const emulator = await start(t);
  const jwks = parseJwks((await call(jwksUrl(emulator.upstream.chatgptBaseUrl))).text);
  t.same(parseJwks((await call(jwksUrl(emulator.url))).text), jwks);
  const token = emulator.issueIdentityToken({ accountId: 'acc', email: null, fedramp: true });
  const claims = await check(token, jwks);
  t.match(claims, { accountId: 'acc', email: null, planType: 'pro', fedramp: true });
  const task = await registerTask(emulator, claims.agentRuntimeId, claims.key);
  t.equal(task.status, 200);
});

t.test('issues every kind of bad identity token', async (t) => {
  const emulator = await start(t);
  const jwks = parseJwks((await call(jwksUrl(emulator.upstream.chatgptBaseUrl))).text);
  const bad: [Parameters<typeof emulator.issueIdentityToken>[0], RegExp][] = [
    [{ expiresInSeconds: -1 }, /exp/],
    [{ kid: null }, /kid: is missing/],
    [{ kid: 'other' }, /names no key/],
    [{ signWithUnknownKey: true }, /signature/],
    [{ claims: { account_id: undefined } }, /account_id: is missing/],
    [{ claims: { aud: 'someone-else' } }, /another audience/],
  ];
  for (const [options, problem] of bad) {
    const token = emulator.issueIdentityToken(options);
    await t.rejects(check(token, jwks), { message: problem });
  }
});
