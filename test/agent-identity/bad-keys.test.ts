import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import t from 'tap';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { fixture } from '../helpers/fixture.ts';
import { refuses } from '../helpers/refusal.ts';

const FIELD = 'auth.json agent_identity.agent_private_key';
const NOT_BASE64 = `${FIELD}: is not padded standard base64`;
const NOT_ED25519 = `${FIELD}: is not an Ed25519 private key in PKCS#8 version 1 or 2`;
const FOREIGN = `${FIELD}: holds a public key that does not belong to its private key`;

const [first, second] = fixture.derived;
const version1 = Buffer.from(first.private_key_pkcs8_v1, 'base64');
const version2 = Buffer.from(first.private_key_pkcs8_v2, 'base64');
// Its base64 has both `+` and `/`, so that base64url differs from it.
const recorded = Buffer.from(second.private_key_pkcs8_v2, 'base64');

const cases: Record<string, [value: string, message: string]> = {
  'an empty value': ['', NOT_BASE64],
  'text that is not base64': ['-----BEGIN PRIVATE KEY-----', NOT_BASE64],
  'base64 without padding': [first.private_key_pkcs8_v2.replace(/=+$/, ''), NOT_BASE64],
  base64url: [recorded.toString('base64url').padEnd(112, '='), NOT_BASE64],
  'a trailing newline': [`${first.private_key_pkcs8_v1}\n`, NOT_BASE64],
  'an RSA key': [pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048 })), NOT_ED25519],
  'an X25519 key': [pkcs8(generateKeyPairSync('x25519')), NOT_ED25519],
  'a P-256 key': [pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-256' })), NOT_ED25519],
  'a bare seed': [version1.subarray(16).toString('base64'), NOT_ED25519],
  'version 1, one byte short': [version1.subarray(0, -1).toString('base64'), NOT_ED25519],
  'version 1, one byte long': [appended(version1, 1), NOT_ED25519],
  'version 1, as long as version 2': [appended(version1, 35), NOT_ED25519],
  'version 2, one byte short': [version2.subarray(0, -1).toString('base64'), NOT_ED25519],
  'version 2, one byte long': [appended(version2, 1), NOT_ED25519],
  'version 2 without its public key': [version2.subarray(0, 48).toString('base64'), NOT_ED25519],
  'version 2 with another tag at its public key': [changed(version2, 48), NOT_ED25519],
  'version 2 of another algorithm': [changed(version2, 11), NOT_ED25519],
  'version 2 with the public key of another key': [spliced(), FOREIGN],
};

for (const [name, [value, message]] of Object.entries(cases)) {
  t.test(`${name} is refused without showing the value`, async (t) => {
    const secrets = [value, value.slice(21, 60)].filter((text) => text !== '');
    await refuses(t, () => parseAgentKey(value, FIELD), message, secrets);
  });
}

function pkcs8({ privateKey }: { privateKey: KeyObject }): string {
  return privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
}

function appended(der: Buffer, bytes: number): string {
  return Buffer.concat([der, Buffer.alloc(bytes)]).toString('base64');
}

function changed(der: Buffer, index: number): string {
  const copy = Buffer.from(der);
  copy.writeUInt8(copy.readUInt8(index) ^ 0x20, index);
  return copy.toString('base64');
}

function spliced(): string {
  return Buffer.concat([version2.subarray(0, 51), recorded.subarray(51)]).toString('base64');
}
