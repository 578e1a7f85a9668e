import { sign } from 'node:crypto';
import t from 'tap';
import { buildInstanceAssertion } from '../../src/agent-identity/instance-assertion.ts';
import { generateAgentKey } from '../../src/agent-identity/keys.ts';
import type { Instance } from '../../src/emulator/instances.ts';
import type { Grant } from '../../src/emulator/tokens.ts';
import { type RequiredAuth, verifyRequest } from '../../src/emulator/verify.ts';

const NOW = Date.parse('2026-11-20T21:30:36Z');
const key = generateAgentKey();
const account = { accountId: 'acc', userId: 'user', email: null, planType: 'pro', fedramp: false };
const instance = (state: Instance['state'], publicKeySsh = key.publicKeySsh): Instance => ({
  instanceId: state,
  hostId: 'host',
  publicKeySsh,
  account,
  usedIds: new Set(),
  state,
});
const access = { kind: 'access', account, expiresAtMs: NOW + 1000, revoked: false } as const;
const others = { ...account, accountId: 'other' };

/** Judges requests with a directory of its own, so that nothing is used up before. */
function backend() {
  const instances = [instance('live'), instance('gone'), instance('revoked')];
  const grants: Record<string, Grant> = { access, others: { ...access, account: others } };
  return (
    headers: Record<string, string>,
    route: RequiredAuth = 'assertion',
    bearerOnAssertionRoutes: 'accept' | 'refuse' = 'refuse',
  ) =>
    verifyRequest(
      headers,
      {
        route,
        bearerOnAssertionRoutes,
        accountHeader: 'required',
        nowMs: NOW,
        maxTimestampSkewSeconds: 300,
      },
      {
        agent: () => null,
        instance: (id) => instances.find(({ instanceId }) => instanceId === id) ?? null,
        grant: (token) => grants[token] ?? null,
      },
    );
}

const ACCOUNT = { 'chatgpt-account-id': 'acc' };
const alone = (assertion: string) => ({ authorization: `AgentAssertion ${assertion}`, ...ACCOUNT });
const dual = (assertion: string, token = 'access') => ({
  authorization: `Bearer ${token}`,
  'x-openai-agent-assertion': assertion,
  ...ACCOUNT,
});
const good = (id = 'live', at = NOW) => buildInstanceAssertion(id, key, at);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signed with the right key, whatever it says. */
function signed(change: object, header: object = {}): string {
  const id = '9d5e6caf-29ee-482c-82db-b7ae2222e8c4';
  const claims = { version: 1, runtime_agent_instance: 'live', iat: NOW / 1000, id, ...change };
  const head = { alg: 'EdDSA', typ: 'openai-agent-assertion+jws', ...header };
  const text = `${encode(head)}.${encode(claims)}`;
  const signature = sign(null, Buffer.from(text), key.privateKey).toString('base64url');
  return `1.${text}.${signature}`;
}

t.test('what is accepted, alone and beside a bearer, on inference and side routes', async (t) => {
  const judge = backend();
  for (const route of ['assertion', 'bearer'] as const) {
    t.match(judge(alone(await good()), route), {
      refusal: null,
      account: { accountId: 'acc' },
      auth: { kind: 'assertion', verified: true, problem: null, runtimeInstanceId: 'live' },
    });
    t.match(judge(dual(await good()), route), { refusal: null, auth: { kind: 'dual' } });
  }
  t.equal(judge(alone(await good('live', NOW - 300_000))).refusal, null, 'five minutes old');
  t.equal(judge(alone(signed({}))).refusal, null, 'the form that the refused ones differ from');
});

t.test('an assertion is good for one request', async (t) => {
  const judge = backend();
  const assertion = await good();
  t.equal(judge(alone(assertion)).refusal, null);
  t.match(judge(alone(assertion)), { refusal: 'unauthorized', auth: { problem: /sent before/ } });
  t.match(judge(dual(assertion)), { auth: { problem: /sent before/ } }, 'in the other header too');
});

const REFUSED: Record<string, [() => Promise<Record<string, string>>, RegExp, RequiredAuth?]> = {
  'an unknown instance': [async () => alone(await good('nobody')), /not registered/],
  'another key': [
    async () => alone(await buildInstanceAssertion('live', generateAgentKey(), NOW)),
    /signature/,
  ],
  'a time too far back': [async () => alone(await good('live', NOW - 301_000)), /iat/],
  'a time too far ahead': [async () => alone(await good('live', NOW + 301_000)), /iat/],
  'an instance that is gone': [async () => alone(await good('gone')), /is gone/],
  'another version': [async () => alone(signed({ version: 2 })), /malformed/],
  'a time that is no whole second': [async () => alone(signed({ iat: 1.5 })), /malformed/],
  'an id that is no UUID': [async () => alone(signed({ id: 'x' })), /malformed/],
  'one claim more': [async () => alone(signed({ target: 'x' })), /malformed/],
  'another algorithm': [async () => alone(signed({}, { alg: 'none' })), /malformed/],
  'another type': [async () => alone(signed({}, { typ: 'JWT' })), /malformed/],
  'one header field more': [async () => alone(signed({}, { kid: 'x' })), /malformed/],
  'no format': [async () => dual((await good()).slice(2)), /malformed/],
  'a part too many': [async () => dual(`${await good()}.x`), /malformed/],
  padding: [async () => dual(`${await good()}=`), /malformed/],
  'another account in the header': [
    async () => ({ ...alone(await good()), 'chatgpt-account-id': 'other' }),
    /names another account/,
  ],
  'a bearer of another account beside it': [
    async () => dual(await good(), 'others'),
    /names another account/,
  ],
  'a bearer that was not issued': [async () => dual(await good(), 'x'), /not issued here/],
  'no bearer beside it': [
    async () => ({ 'x-openai-agent-assertion': await good(), ...ACCOUNT }),
    /goes with a bearer/,
  ],
  'an assertion in both headers': [
    async () => ({ ...alone(await good()), 'x-openai-agent-assertion': await good() }),
    /goes with a bearer/,
  ],
  'a registration': [async () => alone(await good()), /takes none/, 'registration'],
};

for (const [name, [headers, problem, route]] of Object.entries(REFUSED)) {
  t.test(`refused: ${name}`, async (t) => {
    const verdict = backend()(await headers(), route);
    t.equal(verdict.refusal, 'unauthorized');
    t.match(verdict.auth, { verified: false, problem });
  });
}

t.test('a revoked instance is refused with the code that is final', async (t) => {
  const judge = backend();
  t.equal(judge(alone(await good('revoked'))).refusal, 'instance_revoked');
  t.equal(judge(dual(await good('revoked'))).refusal, 'instance_revoked');
});
