import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { FileAuthStore } from '../src/auth-store/file-store.ts';
import { createLogger } from '../src/base/logger.ts';
import { resolveConfig } from '../src/config/resolve.ts';
import { CredentialManager } from '../src/credentials/manager.ts';
import { startEmulator } from '../src/emulator/index.ts';
import { upstreamHeaders } from '../src/proxy/headers.ts';
import { createHttpClient } from '../src/upstream/http-client.ts';
import { postBytes } from './request-bytes.ts';

/** What one request pays for its credential, microseconds, batch by batch. */
export interface CredentialPath {
  /** Authorise, scrub and inject, the assertion of this second being there. */
  sameSecond: number[];
  /** The same in a new second: the assertion is signed. */
  newSecond: number[];
  /** What OpenSSL takes of that, for a message of the same length. */
  signature: number[];
}

const BATCHES = 9;
/** Of what an assertion signs. */
const MESSAGE_BYTES = 110;
/** Until the code is compiled; the first signatures also pay for what OpenSSL looks up once. */
const WARM_UPS = 4;

/** Measured in this process, on the code that `serve` runs, with a registered identity. */
async function measure(): Promise<CredentialPath> {
  const folder = await mkdtemp(join(tmpdir(), 'sidecar-bench-'));
  const backend = await startEmulator();
  const dispatcher = new Agent();
  let nowMs = Date.now();
  const now = () => nowMs;
  await writeFile(join(folder, 'auth.json'), JSON.stringify(backend.issueLogin().authJson), {
    mode: 0o600,
  });
  const config = resolveConfig({
    upstream: backend.upstream,
    agentIdentity: { policy: 'chatgptAuth' },
  });
  const manager = new CredentialManager({
    upstream: config.upstream,
    agentIdentity: () => config.agentIdentity,
    store: new FileAuthStore(folder),
    http: createHttpClient(dispatcher, 'bench'),
    now,
    monotonicNow: () => performance.now(),
    backendNow: now,
    sleep: async () => undefined,
    schedule: () => () => undefined,
    log: createLogger({ level: 'silent' }),
    version: '0.0.0',
    platform: process.platform,
    installationId: '00000000-0000-4000-8000-000000000000',
    oauthClientId: null,
    environment: async () => ({
      apiKey: null,
      accessToken: null,
      agentIdentity: null,
      workload: null,
    }),
  });
  await manager.prepare();
  const raw = clientHeaders();
  const once = () => {
    const authorization = manager.authorize('assertion', true);
    if (authorization instanceof Promise) throw new Error('the credential is not ready');
    upstreamHeaders(raw, authorization.headers);
  };
  const sameSecond = batches(20_000, once);
  const newSecond = batches(1_000, () => {
    nowMs += 1000;
    once();
  });
  const { privateKey } = generateKeyPairSync('ed25519');
  const message = Buffer.alloc(MESSAGE_BYTES, 'a');
  const signature = batches(1_000, () => void sign(null, message, privateKey));
  manager.dispose();
  await dispatcher.destroy();
  await backend.close();
  await rm(folder, { recursive: true });
  return { sameSecond, newSecond, signature };
}

/** Mean time of a call in each of several batches, after some that do not count; microseconds. */
function batches(calls: number, call: () => void): number[] {
  const means: number[] = [];
  for (let batch = -WARM_UPS; batch < BATCHES; batch++) {
    const startedAt = performance.now();
    for (let i = 0; i < calls; i++) call();
    if (batch >= 0) means.push(((performance.now() - startedAt) * 1000) / calls);
  }
  return means;
}

/** Headers of a turn as Node's `rawHeaders`. */
function clientHeaders(): string[] {
  const [head = ''] = postBytes({ port: 1, path: '/' }, 'json', 64).toString().split('\r\n\r\n');
  return head
    .split('\r\n')
    .slice(1)
    .flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]);
}

process.send?.(await measure());
process.disconnect?.();
