import { createHash } from 'node:crypto';
import { type AgentKey, exportSeed } from './keys.ts';

/**
 * Opens a sealed run-task id: standard base64 of a NaCl sealed box (`crypto_box_seal`) to the
 * X25519 key whose secret is the first half of SHA-512(seed). libsodium clamps the scalar.
 * Throws a plain error when the box was not sealed to this key or is damaged.
 */
export async function openSealedTaskId(key: AgentKey, encoded: string): Promise<string> {
  const sodium = await loadSodium();
  const seed = exportSeed(key);
  const digest = createHash('sha512').update(seed).digest();
  const secretKey = new Uint8Array(digest.subarray(0, 32));
  try {
    const publicKey = sodium.crypto_scalarmult_base(secretKey);
    const box = new Uint8Array(Buffer.from(encoded, 'base64'));
    const plain = sodium.crypto_box_seal_open(box, publicKey, secretKey);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch (cause) {
    throw new Error('the sealed task id does not open with the key of this agent', { cause });
  } finally {
    seed.fill(0);
    digest.fill(0);
    secretKey.fill(0);
  }
}

/** Seals a task id to the Ed25519 key of an agent, as the backend does. */
export async function sealTaskId(publicKeySsh: string, taskId: string): Promise<string> {
  const sodium = await loadSodium();
  const blob = Buffer.from(publicKeySsh.split(' ')[1] ?? '', 'base64');
  const recipient = sodium.crypto_sign_ed25519_pk_to_curve25519(
    new Uint8Array(blob.subarray(blob.length - 32)),
  );
  return Buffer.from(sodium.crypto_box_seal(taskId, recipient)).toString('base64');
}

// Loaded on first use: most deployments never see a sealed id, and the module is WebAssembly.
async function loadSodium(): Promise<typeof import('libsodium-wrappers').default> {
  const { default: sodium } = await import('libsodium-wrappers');
  await sodium.ready;
  return sodium;
}
