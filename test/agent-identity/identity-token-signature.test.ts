import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import t, { type Test } from 'tap';
import { verifyIdentityToken } from '../../src/agent-identity/identity-token.ts';
import { Secret } from '../../src/base/secret.ts';
import { fixture } from '../helpers/fixture.ts';
import { createIssuer, NOW, unsignedToken, validClaims } from '../helpers/identity-jwt.ts';
import { refuses } from '../helpers/refusal.ts';

const issuer = await createIssuer();
const [jwk] = issuer.jwks.keys;
const PRIVATE_KEY = fixture.derived[0].private_key_pkcs8_v2;

async function refusesToken(t: Test, token: Secret, problem: string, jwks = issuer.jwks) {
  const verify = () => verifyIdentityToken(token, jwks, NOW);
  await refuses(t, verify, `Agent Identity JWT ${problem}`, [PRIVATE_KEY, token.reveal()]);
}

t.test('a kid that the JWKS does not have is refused', async (t) => {
  const token = await issuer.sign({}, 'key-2');
  await refusesToken(t, token, 'header kid: names no key of the JWKS');
});

t.test('an empty JWKS has no key', async (t) => {
  const problem = 'header kid: names no key of the JWKS';
  await refusesToken(t, await issuer.sign(), problem, { keys: [] });
});

t.test('a token of another issuer under the same kid is refused', async (t) => {
  const other = await createIssuer();
  await refusesToken(t, await other.sign(), 'signature: does not verify');
});

t.test('a changed payload is refused', async (t) => {
  const parts = (await issuer.sign()).reveal().split('.');
  const changed = JSON.stringify({ ...validClaims, account_id: 'account-666' });
  const token = [parts[0], Buffer.from(changed).toString('base64url'), parts[2]].join('.');
  await refusesToken(t, new Secret(token), 'signature: does not verify');
});

t.test('a token without a signature is refused', async (t) => {
  const [header, payload] = (await issuer.sign()).reveal().split('.');
  await refusesToken(t, new Secret(`${header}.${payload}.`), 'signature: does not verify');
});

for (const alg of ['none', 'HS256']) {
  t.test(`alg ${alg} is refused`, async (t) => {
    const token = unsignedToken({ alg, kid: 'key-1' }, validClaims);
    await refusesToken(t, token, 'signature: cannot be verified with this JWKS');
  });
}

t.test('a good signature of another RSA algorithm is refused', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  // No `alg` in the JWKS: nothing but our own list of algorithms stands in the way.
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'key-1' }];
  const unsigned = unsignedToken({ alg: 'PS256', kid: 'key-1' }, validClaims).reveal();
  const input = unsigned.slice(0, unsigned.lastIndexOf('.'));
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const signature = sign('sha256', Buffer.from(input), {
    key: privateKey,
    padding,
    saltLength: 32,
  });
  const token = new Secret(`${input}.${signature.toString('base64url')}`);
  await refusesToken(t, token, 'signature: cannot be verified with this JWKS', { keys });
});

t.test('a JWKS key of another type is not used', async (t) => {
  const { publicKey } = await generateKeyPair('ES256');
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'key-1' }];
  const problem = 'header kid: names no key of the JWKS';
  await refusesToken(t, await issuer.sign(), problem, { keys });
});

t.test('a damaged JWKS key is refused', async (t) => {
  const keys = [{ ...jwk, kty: 'RSA', n: '', kid: 'key-1' }];
  const problem = 'signature: cannot be verified with this JWKS';
  await refusesToken(t, await issuer.sign(), problem, { keys });
});

const wrong: [name: string, value: unknown][] = [
  ['iss', 'https://example.com'],
  ['iss', undefined],
  ['aud', 'another-app'],
  ['aud', undefined],
  ['exp', Math.floor(NOW / 1000)],
  ['nbf', Math.floor(NOW / 1000) + 60],
];

for (const [name, value] of wrong) {
  t.test(`a signed token whose ${name} is ${JSON.stringify(value)} is refused`, async (t) => {
    await refusesToken(t, await issuer.sign({ [name]: value }), `claim ${name}: does not verify`);
  });
}
