import t from 'tap';
import {
  buildAssertion,
  parseAssertion,
  verifyAssertion,
} from '../../src/agent-identity/assertion.ts';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { fixture } from '../helpers/fixture.ts';

for (const vector of fixture.derived) {
  const key = parseAgentKey(vector.private_key_pkcs8_v2, 'key');
  const start = Date.parse(vector.timestamp);
  const build = (nowMs: number) =>
    buildAssertion(vector.agent_runtime_id, key, vector.task_id, nowMs);

  t.test(`${vector.name}: the header is byte-exact`, async (t) => {
    t.equal(build(start), vector.authorization);
  });

  t.test(`${vector.name}: the token is the compact JSON, base64url without padding`, async (t) => {
    const token = build(start).replace('AgentAssertion ', '');
    t.equal(Buffer.from(token, 'base64url').toString('utf8'), vector.assertion_json);
    t.match(token, /^[A-Za-z0-9_-]+$/);
  });

  t.test(
    `${vector.name}: the header keeps for the whole second and changes after it`,
    async (t) => {
      t.equal(build(start + 999), vector.authorization);
      t.not(build(start + 1000), vector.authorization);
    },
  );

  t.test(`${vector.name}: the header reads back and verifies`, async (t) => {
    const claims = parseAssertion(vector.authorization);
    if (claims === null) throw new Error('the header was not read');
    t.strictSame(claims, JSON.parse(vector.assertion_json));
    t.equal(claims.signature, vector.assertion_signature);
    t.equal(verifyAssertion(claims, vector.public_key_ssh), true);
  });
}

t.test('the header of the recorded JWT identity is byte-exact', async (t) => {
  const recorded = fixture.recorded[0];
  const header = buildAssertion(
    recorded.agent_runtime_id,
    parseAgentKey(recorded.agent_private_key, 'key'),
    recorded.task_id,
    Date.parse(recorded.assertion_timestamp),
  );
  t.equal(header, recorded.authorization);
});

t.test('a task id outside of ASCII reads back and verifies', async (t) => {
  const vector = fixture.derived[0];
  const key = parseAgentKey(vector.private_key_pkcs8_v1, 'key');
  const claims = parseAssertion(buildAssertion('agent-ü', key, 'täsk "1"\n☃', 0));
  if (claims === null) throw new Error('the header was not read');
  t.equal(claims.task_id, 'täsk "1"\n☃');
  t.equal(verifyAssertion(claims, vector.public_key_ssh), true);
});

for (const name of ['agent_runtime_id', 'task_id', 'timestamp'] as const) {
  t.test(`the signature binds ${name}`, async (t) => {
    const { authorization, public_key_ssh: publicKey } = fixture.derived[0];
    const claims = parseAssertion(authorization);
    if (claims === null) throw new Error('the header was not read');
    t.equal(verifyAssertion({ ...claims, [name]: `${claims[name]}0` }, publicKey), false);
  });
}

t.test('the assertion of another key does not verify', async (t) => {
  const [vector, other] = fixture.derived;
  const claims = parseAssertion(vector.authorization);
  if (claims === null) throw new Error('the header was not read');
  t.equal(verifyAssertion(claims, other.public_key_ssh), false);
});

const { authorization, assertion_json: json } = fixture.derived[0];
const encode = (text: string) => `AgentAssertion ${Buffer.from(text).toString('base64url')}`;
const notAssertions: Record<string, string> = {
  'an empty header': '',
  'the scheme alone': 'AgentAssertion',
  'the scheme and a space': 'AgentAssertion ',
  'another scheme': authorization.replace('AgentAssertion', 'Bearer'),
  'a third part': `${authorization} more`,
  'padded base64url': `${authorization}=`,
  'a token that is not JSON': encode('{'),
  'JSON null': encode('null'),
  'a JSON string': encode('"agent"'),
  'a missing field': encode(json.replace('"task_id":"task-123",', '')),
  'a field that is no string': encode(json.replace('"task-123"', '123')),
  'a field too many': encode(json.replace('{', '{"more":"1",')),
};

for (const [name, header] of Object.entries(notAssertions)) {
  t.test(`${name} is not an assertion`, async (t) => {
    t.equal(parseAssertion(header), null);
  });
}
