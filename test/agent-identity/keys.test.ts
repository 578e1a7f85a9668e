import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import t from 'tap';
import {
  deriveSeed,
  encodeAgentKey,
  exportSeed,
  fingerprint,
  generateAgentKey,
  parseAgentKey,
  parseSshPublicKey,
  signMessage,
  verifyMessage,
} from '../../src/agent-identity/keys.ts';
import { fixture } from '../helpers/fixture.ts';

for (const vector of fixture.derived) {
  for (const encoding of ['private_key_pkcs8_v1', 'private_key_pkcs8_v2'] as const) {
    t.test(`${vector.name}: ${encoding} gives seed and public key`, async (t) => {
      const key = parseAgentKey(vector[encoding], 'key');
      t.equal(exportSeed(key).toString('hex'), vector.seed_hex);
      t.equal(key.publicKeySsh, vector.public_key_ssh);
    });

    t.test(`${vector.name}: ${encoding} is written as version 2`, async (t) => {
      t.equal(encodeAgentKey(parseAgentKey(vector[encoding], 'key')), vector.private_key_pkcs8_v2);
    });

    t.test(`${vector.name}: ${encoding} signs a task registration`, async (t) => {
      const key = parseAgentKey(vector[encoding], 'key');
      const message = `${vector.agent_runtime_id}:${vector.timestamp}`;
      t.equal(signMessage(key, message), vector.task_registration_signature);
    });
  }
}

t.test(
  'the key of the recorded record, version 2, gives its public key and signature',
  async (t) => {
    const { auth_json_agent_identity: record, ...recorded } = fixture.recorded[1];
    const key = parseAgentKey(record.agent_private_key, 'key');
    const { timestamp, signature } = recorded.task_registration;
    t.equal(key.publicKeySsh, recorded.public_key_ssh);
    t.equal(signMessage(key, `${record.agent_runtime_id}:${timestamp}`), signature);
    t.equal(encodeAgentKey(key), record.agent_private_key);
  },
);

t.test('the key of the recorded JWT, version 1, gives the recorded signature', async (t) => {
  const recorded = fixture.recorded[0];
  const { timestamp, signature } = recorded.task_registration;
  const key = parseAgentKey(recorded.agent_private_key, 'key');
  t.equal(signMessage(key, `${recorded.agent_runtime_id}:${timestamp}`), signature);
});

t.test('the seed of a new key is derived as Codex does', async (t) => {
  const { seed_material_hex: material, derived_seed_hex: seed } = fixture.key_generation;
  t.equal(deriveSeed(Buffer.from(material, 'hex')).toString('hex'), seed);
});

t.test('a generated key reads back as the same key', async (t) => {
  const key = generateAgentKey();
  t.equal(parseAgentKey(encodeAgentKey(key), 'key').publicKeySsh, key.publicKeySsh);
});

t.test('two generated keys differ', async (t) => {
  t.not(generateAgentKey().publicKeySsh, generateAgentKey().publicKeySsh);
});

t.test('an OpenSSH line imports as the public half of the private key', async (t) => {
  const { x } = parseSshPublicKey(fixture.derived[0].public_key_ssh).export({ format: 'jwk' });
  const version2 = Buffer.from(fixture.derived[0].private_key_pkcs8_v2, 'base64');
  t.equal(x, version2.subarray(-32).toString('base64url'));
});

t.test('a line that is not an Ed25519 public key is refused', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const der = rsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const { public_key_ssh: line } = fixture.derived[0];
  const lines = ['', 'ssh-ed25519', `ssh-rsa ${der}`, `ssh-ed25519 ${der}`, line.slice(0, -4)];
  for (const other of [...lines, line.replace('ssh-ed25519', 'ssh-rsa')]) {
    t.throws(() => parseSshPublicKey(other), { message: 'not an OpenSSH Ed25519 public key' });
  }
});

t.test('the fingerprint is that of ssh-keygen -l', async (t) => {
  t.equal(
    fingerprint(fixture.derived[0].public_key_ssh),
    'SHA256:z/fSv0Z0RZS+Lccbc6ZoOWwt/fbj1VFJGSBKQbo4icE',
  );
});

t.test('a signature verifies for its message and its key only', async (t) => {
  const [vector, other] = fixture.derived;
  const message = `${vector.agent_runtime_id}:${vector.timestamp}`;
  const signature = vector.task_registration_signature;
  t.equal(verifyMessage(vector.public_key_ssh, message, signature), true);
  t.equal(verifyMessage(vector.public_key_ssh, `${message} `, signature), false);
  t.equal(verifyMessage(other.public_key_ssh, message, signature), false);
});

t.test('a signature that is not padded standard base64 does not verify', async (t) => {
  const vector = fixture.derived[0];
  const message = `${vector.agent_runtime_id}:${vector.timestamp}`;
  const raw = Buffer.from(vector.task_registration_signature, 'base64');
  for (const signature of [raw.toString('base64url'), raw.toString('hex'), '']) {
    t.equal(verifyMessage(vector.public_key_ssh, message, signature), false);
  }
});

t.test('a printed key shows no private half', async (t) => {
  const key = parseAgentKey(fixture.derived[0].private_key_pkcs8_v2, 'key');
  const printed = inspect(key, { depth: null, showHidden: true }) + JSON.stringify(key);
  t.notMatch(printed, fixture.derived[0].private_key_pkcs8_v2.slice(21, 64));
  t.notMatch(printed, fixture.derived[0].seed_hex);
});
