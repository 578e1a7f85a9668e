import t from 'tap';
import { decodeIdentityToken } from '../../src/agent-identity/identity-token.ts';
import { Secret } from '../../src/base/secret.ts';
import { fixture } from '../helpers/fixture.ts';
import { NOW, unsignedToken, validClaims } from '../helpers/identity-jwt.ts';
import { refuses } from '../helpers/refusal.ts';

const PRIVATE_KEY = fixture.derived[0].private_key_pkcs8_v2;
const RS256 = { alg: 'RS256', kid: 'key-1' };
const WRONG = 'wrong-value';

const notTokens: Record<string, string> = {
  'an empty value': '',
  'a word': 'pasted-by-mistake',
  'a personal access token': 'at-0123456789',
  'two parts': unsignedToken(RS256, validClaims).reveal().split('.').slice(0, 2).join('.'),
  'five parts': 'pasted.pasted.pasted.pasted.pasted',
  'a payload that is not JSON': unsignedToken(RS256, '{').reveal(),
  'a payload that is a list': unsignedToken(RS256, '[]').reveal(),
};

for (const [name, value] of Object.entries(notTokens)) {
  t.test(`${name} is not a JWT`, async (t) => {
    const decode = () => decodeIdentityToken(new Secret(value), NOW);
    await refuses(t, decode, 'Agent Identity JWT: is not a JWT', value === '' ? [] : [value]);
  });
}

const headers: [name: string, header: object, message: string][] = [
  ['alg none', { alg: 'none', kid: 'key-1' }, 'header alg: must be RS256'],
  ['alg HS256', { alg: 'HS256', kid: 'key-1' }, 'header alg: must be RS256'],
  ['alg PS256', { alg: 'PS256', kid: 'key-1' }, 'header alg: must be RS256'],
  ['no alg', { kid: 'key-1' }, 'header alg: must be RS256'],
  ['no kid', { alg: 'RS256' }, 'header kid: is missing'],
  ['an empty kid', { alg: 'RS256', kid: '' }, 'header kid: is missing'],
  ['a kid that is no string', { alg: 'RS256', kid: 1 }, 'header kid: is missing'],
];

for (const [name, header, message] of headers) {
  t.test(`a token with ${name} is refused`, async (t) => {
    const decode = () => decodeIdentityToken(unsignedToken(header, validClaims), NOW);
    await refuses(t, decode, `Agent Identity JWT ${message}`, [PRIVATE_KEY]);
  });
}

for (const name of Object.keys(validClaims).filter((name) => name !== 'email')) {
  t.test(`a token without ${name} is refused`, async (t) => {
    const token = unsignedToken(RS256, { ...validClaims, [name]: undefined });
    const message = `Agent Identity JWT claim ${name}: is missing`;
    await refuses(t, () => decodeIdentityToken(token, NOW), message, [PRIVATE_KEY]);
  });
}

const STRING = 'must be a non-empty string';
const TIME = 'must be a time in seconds since the epoch';
const wrong: [name: string, value: unknown, problem: string][] = [
  ['iss', WRONG, 'names another issuer'],
  ['iss', `${validClaims.iss}/`, 'names another issuer'],
  ['iss', null, 'names another issuer'],
  ['aud', WRONG, 'names another audience'],
  ['aud', [WRONG], 'names another audience'],
  ['aud', null, 'names another audience'],
  ['iat', WRONG, TIME],
  ['iat', '1795210236', TIME],
  ['iat', null, TIME],
  ['exp', WRONG, TIME],
  ['exp', '4102444800', TIME],
  ['exp', null, TIME],
  ['exp', true, TIME],
  ['exp', 1e300, TIME],
  ['exp', -1e300, TIME],
  ['exp', 1795210236, 'the token expired at 2026-11-20T21:30:36.000Z'],
  ['exp', NOW / 1000, 'the token expired at 2026-11-20T21:30:36.500Z'],
  ['agent_runtime_id', '', STRING],
  ['agent_runtime_id', ' ', STRING],
  ['agent_runtime_id', 7, STRING],
  ['agent_runtime_id', '..', 'is not an id that a path can carry'],
  ['agent_private_key', '', STRING],
  ['agent_private_key', { key: WRONG }, STRING],
  ['agent_private_key', WRONG, 'is not padded standard base64'],
  ['account_id', '', STRING],
  ['account_id', [WRONG], STRING],
  ['chatgpt_user_id', '', STRING],
  ['chatgpt_user_id', null, STRING],
  ['email', [WRONG], 'must be a string'],
  ['chatgpt_account_is_fedramp', 'true', 'must be true or false'],
  ['chatgpt_account_is_fedramp', 1, 'must be true or false'],
  ['chatgpt_account_is_fedramp', null, 'must be true or false'],
];

for (const [name, value, problem] of wrong) {
  t.test(`a token whose ${name} is ${JSON.stringify(value)} is refused`, async (t) => {
    const token = unsignedToken(RS256, { ...validClaims, [name]: value });
    const message = `Agent Identity JWT claim ${name}: ${problem}`;
    await refuses(t, () => decodeIdentityToken(token, NOW), message, [PRIVATE_KEY, WRONG]);
  });
}

t.test('an expiry beyond the range of numbers is refused', async (t) => {
  const payload = JSON.stringify(validClaims).replace(/"exp":\d+/, '"exp":1e400');
  const decode = () => decodeIdentityToken(unsignedToken(RS256, payload), NOW);
  await refuses(t, decode, `Agent Identity JWT claim exp: ${TIME}`, [PRIVATE_KEY]);
});
