import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { dayOf, dayText } from '../../src/clients/daily-tokens.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { PROGRAM } from '../helpers/program-path.ts';

/** An emulated backend, and in front of it the real `serve` command in a process of its own. */
export interface ServeWithEmulator {
  backend: Emulator;
  /** Address of the sidecar. */
  url: string;
  clientToken: string;
  close(): Promise<void>;
}

/**
 * The sidecar holds a ChatGPT login and registers an identity; the agent gets the client token.
 * @param options.identity of the section `agentIdentity`, beside the policy
 * @param options.askForToken false lets any caller on this machine in
 * @param options.tls files of the listener; null: plain HTTP
 * @param options.limits of the client token, as on its line of the tokens file
 * @param options.usedToday tokens that the client has used already
 */
export async function startServeWithEmulator({
  identity = {},
  askForToken = true,
  tls = null as { certFile: string; keyFile: string } | null,
  limits = '',
  usedToday = { input: 0, output: 0 },
} = {}): Promise<ServeWithEmulator> {
  const backend = await startEmulator();
  // From here on a bearer where an assertion belongs is refused by the backend.
  backend.settings.bearerOnAssertionRoutes = 'refuse';
  const folder = await mkdtemp(join(tmpdir(), 'sidecar-home-'));
  const clientToken = randomBytes(24).toString('hex');
  const digest = createHash('sha256').update(clientToken).digest('hex');
  await writeFile(join(folder, 'tokens'), `agent:${digest} ${limits}\n`);
  const usage = join(folder, 'usage');
  await writeFile(usage, usageFile(usedToday));
  await writeFile(join(folder, 'auth.json'), JSON.stringify(backend.issueLogin().authJson), {
    mode: 0o600,
  });
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({
      codexHome: folder,
      ...(tls === null ? {} : { listen: { tls } }),
      agentIdentity: { policy: 'chatgptAuth', ...identity },
      upstream: { ...backend.upstream, proxy: null },
      clients: { tokensFile: askForToken ? join(folder, 'tokens') : null },
      usage: { file: usage },
    }),
  );
  const args = [PROGRAM, 'serve', '--config', join(folder, 'config.json'), '--port', '0'];
  const sidecar = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  const exited = once(sidecar, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    void exited.then(([code]) => reject(new Error(`the sidecar ended with ${code}`)));
    createInterface({ input: sidecar.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as { msg?: string; url?: string };
      if (entry.msg === 'listening' && entry.url) resolve(entry.url);
    });
  });
  return {
    backend,
    url,
    clientToken,
    close: async () => {
      sidecar.kill('SIGTERM');
      await exited;
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Also for tomorrow, because the test may run over midnight. */
function usageFile(used: { input: number; output: number }): string {
  const today = dayOf(Date.now());
  const days = [today, today + 1].map((day) => [dayText(day), { agent: used }]);
  return JSON.stringify({ version: 1, days: Object.fromEntries(days) });
}
