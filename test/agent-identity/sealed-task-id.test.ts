import sodium from 'libsodium-wrappers';
import t from 'tap';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { openSealedTaskId, sealTaskId } from '../../src/agent-identity/sealed-task-id.ts';
import { fixture } from '../helpers/fixture.ts';

await sodium.ready;

const [first, second] = fixture.derived;
const firstKey = parseAgentKey(first.private_key_pkcs8_v2, 'key');
const sealed = fixture.sealed_task_id.encrypted_task_id;
const REFUSED = { message: 'the sealed task id does not open with the key of this agent' };

t.test('the sealed task id of the fixture opens', async (t) => {
  t.equal(await openSealedTaskId(firstKey, sealed), fixture.sealed_task_id.plaintext);
});

for (const vector of fixture.derived) {
  t.test(`${vector.name}: a box to the X25519 public key opens with the agent key`, async (t) => {
    const recipient = sodium.from_hex(vector.x25519_public_hex);
    const box = Buffer.from(sodium.crypto_box_seal(vector.task_id, recipient)).toString('base64');
    const key = parseAgentKey(vector.private_key_pkcs8_v1, 'key');
    t.equal(await openSealedTaskId(key, box), vector.task_id);
  });

  t.test(`${vector.name}: a box to the SSH public key opens with the X25519 secret`, async (t) => {
    const box = Buffer.from(await sealTaskId(vector.public_key_ssh, vector.task_id), 'base64');
    const plain = sodium.crypto_box_seal_open(
      new Uint8Array(box),
      sodium.from_hex(vector.x25519_public_hex),
      sodium.from_hex(vector.x25519_secret_hex),
    );
    t.equal(Buffer.from(plain).toString('utf8'), vector.task_id);
  });
}

t.test('a task id outside of ASCII comes out unchanged, a byte order mark included', async (t) => {
  const taskId = '\ufefftäsk/☃=';
  t.equal(await openSealedTaskId(firstKey, await sealTaskId(first.public_key_ssh, taskId)), taskId);
});

t.test('opening leaves the key usable', async (t) => {
  await openSealedTaskId(firstKey, sealed);
  t.equal(await openSealedTaskId(firstKey, sealed), fixture.sealed_task_id.plaintext);
});

t.test('a box to another key is refused', async (t) => {
  const other = parseAgentKey(second.private_key_pkcs8_v2, 'key');
  await t.rejects(openSealedTaskId(other, sealed), REFUSED);
});

t.test('a damaged box is refused', async (t) => {
  const box = Buffer.from(sealed, 'base64');
  box.writeUInt8(box.readUInt8(40) ^ 1, 40);
  await t.rejects(openSealedTaskId(firstKey, box.toString('base64')), REFUSED);
});

t.test('a box that is too short is refused', async (t) => {
  await t.rejects(openSealedTaskId(firstKey, ''), REFUSED);
  await t.rejects(openSealedTaskId(firstKey, sealed.slice(0, 40)), REFUSED);
});

t.test('a plaintext that is not UTF-8 is refused', async (t) => {
  const recipient = sodium.from_hex(first.x25519_public_hex);
  const box = sodium.crypto_box_seal(Uint8Array.of(0xff, 0xfe), recipient);
  await t.rejects(openSealedTaskId(firstKey, Buffer.from(box).toString('base64')), REFUSED);
});
