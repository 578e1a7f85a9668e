import { createHash } from 'node:crypto';

/**
 * A UUID (RFC 9562, in the form of version 4) for the sidecar that keeps its login at `location` on
 * `host`. It is the same after a restart without being stored, and names neither of the two.
 */
export function installationIdOf(host: string, location: string): string {
  const bytes = createHash('sha256').update(`codex-auth-sidecar\0${host}\0${location}`).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}
