import t from 'tap';
import {
  decodeIdentityToken,
  jwksUrl,
  parseJwks,
  verifyIdentityToken,
} from '../../src/agent-identity/identity-token.ts';
import { fixture } from '../helpers/fixture.ts';
import { createIssuer, NOW, unsignedToken, validClaims } from '../helpers/identity-jwt.ts';

const issuer = await createIssuer();

/** The claims that are read from a token with `changes`; the signature plays no part. */
function decode(changes: object) {
  const header = { alg: 'RS256', kid: 'key-1' };
  return decodeIdentityToken(unsignedToken(header, { ...validClaims, ...changes }), NOW);
}

t.test('a valid token gives its claims', async (t) => {
  const { key, ...claims } = decodeIdentityToken(await issuer.sign(), NOW);
  t.strictSame(claims, {
    agentRuntimeId: 'agent-123',
    accountId: 'account-123',
    userId: 'user-123',
    email: 'user@example.com',
    planType: 'pro',
    fedramp: false,
    expiresAt: Date.parse('2026-11-20T22:30:36Z'),
  });
  t.equal(key.publicKeySsh, fixture.derived[0].public_key_ssh);
});

t.test('a valid token verifies', async (t) => {
  await t.resolves(verifyIdentityToken(await issuer.sign(), issuer.jwks, NOW));
});

t.test('a key in version 1 is read as well', async (t) => {
  const { private_key_pkcs8_v1: version1, public_key_ssh: publicKey } = fixture.derived[0];
  t.equal(decode({ agent_private_key: version1 }).key.publicKeySsh, publicKey);
});

t.test('the FedRAMP claim is read', async (t) => {
  t.equal(decode({ chatgpt_account_is_fedramp: true }).fedramp, true);
});

for (const email of ['', null, undefined]) {
  t.test(`an e-mail of ${JSON.stringify(email)} becomes null`, async (t) => {
    t.equal(decode({ email }).email, null);
  });
}

for (const plan of ['diamond', '', null, 7]) {
  t.test(`a plan type of ${JSON.stringify(plan)} becomes unknown`, async (t) => {
    t.equal(decode({ plan_type: plan }).planType, 'unknown');
  });
}

t.test('an audience in a list with others is accepted', async (t) => {
  const token = await issuer.sign({ aud: ['other', 'codex-app-server'] });
  t.equal(decodeIdentityToken(token, NOW).agentRuntimeId, 'agent-123');
  await t.resolves(verifyIdentityToken(token, issuer.jwks, NOW));
});

t.test('a token is good until the millisecond of its expiry', async (t) => {
  t.equal(decode({ exp: (NOW + 1) / 1000 }).expiresAt, NOW + 1);
});

const addresses: [base: string, url: string][] = [
  ['https://chatgpt.com/backend-api', '/backend-api/wham/agent-identities/jwks'],
  ['https://chatgpt.com/backend-api/codex', '/backend-api/codex/wham/agent-identities/jwks'],
  ['https://chatgpt.com', '/agent-identities/jwks'],
  ['https://chatgpt.com/api/codex', '/api/codex/agent-identities/jwks'],
];

for (const [base, path] of addresses) {
  t.test(`the JWKS of ${base} is at ${path}`, async (t) => {
    t.equal(jwksUrl(base), `https://chatgpt.com${path}`);
  });
}

t.test('a key set is read', async (t) => {
  t.strictSame(parseJwks(JSON.stringify(issuer.jwks)), issuer.jwks);
});

const NO_KEYS = 'the response has no "keys"';
const MALFORMED = 'JSON Web Key Set malformed';
const notKeySets: [text: string, expected: { message: string }][] = [
  ['', { message: NO_KEYS }],
  ['<html>', { message: NO_KEYS }],
  ['null', { message: NO_KEYS }],
  ['"keys"', { message: NO_KEYS }],
  ['{}', { message: NO_KEYS }],
  ['[]', { message: NO_KEYS }],
  ['{"keys":{}}', { message: MALFORMED }],
  ['{"keys":[1]}', { message: MALFORMED }],
];

for (const [text, expected] of notKeySets) {
  t.test(`${text || 'an empty response'} is not a key set`, async (t) => {
    t.throws(() => parseJwks(text), expected);
  });
}
