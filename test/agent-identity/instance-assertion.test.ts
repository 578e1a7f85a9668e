import t from 'tap';
import { installationIdOf } from '../../src/agent-identity/installation-id.ts';
import {
  buildInstanceAssertion,
  parseInstanceAssertion,
  verifyInstanceAssertion,
} from '../../src/agent-identity/instance-assertion.ts';
import { generateAgentKey } from '../../src/agent-identity/keys.ts';

/** As Codex 0.171.0 sent it, with the public key that it had registered. */
const RECORDED = {
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKXuEMzeUlml21lCn/sWzAoXTE/3pfveWARO2vF3tHJg',
  assertion:
    '1.eyJhbGciOiJFZERTQSIsInR5cCI6Im9wZW5haS1hZ2VudC1hc3NlcnRpb24randzIn0.eyJ2ZXJzaW9uIjoxLCJydW50aW1lX2FnZW50X2luc3RhbmNlIjoicmFpLTEiLCJpYXQiOjE3OTU4MTU0NjcsImlkIjoiZTU4ODZjOTAtN2I2ZS00YjU2LWEyNjMtMzJmMzYwODg2M2FiIn0.tuxSJGiis8Q6NNmj9GoGAtf9JM125AUqUci7EJmSqIf1BDiP8cMj1v_zCl-HSiZrMBUY4hPu4iAWh3isD8fBCg',
};

const part = (assertion: string, index: number) =>
  Buffer.from(assertion.split('.')[index] ?? '', 'base64url').toString();

t.test('an assertion that Codex has sent is read and verified', async (t) => {
  const read = parseInstanceAssertion(RECORDED.assertion);
  t.match(read?.claims, { version: 1, runtime_agent_instance: 'rai-1' });
  t.ok(read && verifyInstanceAssertion(read, RECORDED.publicKey));
  t.notOk(read && verifyInstanceAssertion(read, generateAgentKey().publicKeySsh));
});

t.test('ours has the same header, and the same claims in the same order', async (t) => {
  const key = generateAgentKey();
  const ours = await buildInstanceAssertion('rai-1', key, 1_795_813_931_999);
  t.equal(part(ours, 1), part(RECORDED.assertion, 1));
  const [mine, theirs] = [ours, RECORDED.assertion].map((text) => JSON.parse(part(text, 2)));
  t.strictSame(Object.keys(mine), Object.keys(theirs));
  t.equal(mine.iat, 1_795_813_931, 'whole seconds, rounded down');
  const read = parseInstanceAssertion(ours);
  t.ok(read && verifyInstanceAssertion(read, key.publicKeySsh));
});

t.test('two of one second differ', async (t) => {
  const key = generateAgentKey();
  const [one, two] = [
    await buildInstanceAssertion('x', key, 0),
    await buildInstanceAssertion('x', key, 0),
  ];
  t.not(one, two);
});

t.test('the id of an installation is a UUID that stays, and names nothing', async (t) => {
  const id = installationIdOf('host-1', '/home/.codex/auth.json');
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.equal(installationIdOf('host-1', '/home/.codex/auth.json'), id);
  t.not(installationIdOf('host-2', '/home/.codex/auth.json'), id);
  t.not(installationIdOf('host-1', '/other/auth.json'), id);
});
