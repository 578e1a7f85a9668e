import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../base/logger.ts';
import { type Emulator, startEmulator } from '../../emulator/index.ts';
import { readSettings } from '../../sidecar/settings.ts';
import { launchSidecar, type RunningSidecar } from '../../sidecar/start.ts';
import { compact, listModels, sseTurn, webSocketTurn } from './client.ts';
import { checkRecords, recordTable } from './report.ts';

/**
 * Shows the sidecar's main job on the emulated backend: one turn of each kind through a sidecar that
 * holds a ChatGPT login, from a client that holds a throw-away token; then a restart and another turn.
 * @throws Error when the backend saw anything other than the README promises
 */
export async function demo(print: (line: string) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'codex-auth-sidecar-demo-'));
  const backend = await startEmulator();
  try {
    const clientToken = `demo-${randomBytes(18).toString('base64url')}`;
    await writeFile(join(folder, 'auth.json'), JSON.stringify(backend.issueLogin().authJson), {
      mode: 0o600,
    });
    await writeFile(join(folder, 'client-tokens'), tokenLine('demo', clientToken));
    print(`emulated backend  ${backend.url}`);
    await withSidecar(backend, folder, async (url) => {
      print(`sidecar           ${url}  (policy chatgptAuth, cold start)`);
      await sseTurn(url, clientToken);
      await compact(url, clientToken);
      await listModels(url, clientToken);
      await webSocketTurn(url, clientToken);
    });
    await withSidecar(backend, folder, async (url) => {
      print(`sidecar           ${url}  (second start, same auth.json)`);
      await sseTurn(url, clientToken);
    });
    print('');
    for (const line of recordTable(backend.records)) print(line);
    print('');
    const checks = checkRecords(backend.records, clientToken);
    for (const { ok, text } of checks) print(`${ok ? 'ok  ' : 'FAIL'}  ${text}`);
    if (checks.some(({ ok }) => !ok))
      throw new Error('the demo failed: see the lines marked FAIL above');
  } finally {
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function withSidecar(
  backend: Emulator,
  codexHome: string,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const settings = await readSettings({}, null, {
    codexHome,
    listen: { port: 0 },
    agentIdentity: { policy: 'chatgptAuth' },
    upstream: { ...backend.upstream, proxy: null },
    clients: { tokensFile: join(codexHome, 'client-tokens') },
  });
  const log = createLogger({ level: 'silent' });
  const sidecar: RunningSidecar = await launchSidecar(settings, log, false);
  try {
    await work(sidecar.address.url ?? '');
  } finally {
    await sidecar.stop();
  }
}

function tokenLine(name: string, token: string): string {
  return `${name}:${createHash('sha256').update(token).digest('hex')}\n`;
}
