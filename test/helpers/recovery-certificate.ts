import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A key, and a certificate for 127.0.0.1 that nobody trusts. */
export async function makeKeyPair(t: Test): Promise<{ key: string; cert: string }> {
  const cwd = mkdtempSync(join(tmpdir(), 'codex-auth-sidecar-recovery-'));
  t.teardown(() => rmSync(cwd, { recursive: true, force: true }));
  const line =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -subj /CN=upstream -addext subjectAltName=IP:127.0.0.1';
  execFileSync('openssl', line.split(' '), { cwd, stdio: 'pipe' });
  return {
    key: readFileSync(join(cwd, 'key'), 'utf8'),
    cert: readFileSync(join(cwd, 'cert'), 'utf8'),
  };
}
