import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { Home } from '../helpers/sidecar-with-clock.ts';

const WRITER = fileURLToPath(new URL('../helpers/writer-process.js', import.meta.url));
const WRITES = 200;

interface Killed {
  /** The last write that the process reported as done. */
  done: number;
  killed: boolean;
}

/** Lets a process write, and kills it between the n-th report and the one after it. */
async function writeAndKill(folder: string, from: number, after: number): Promise<Killed> {
  const args = [WRITER, folder, String(from), String(WRITES - from)];
  const child: ChildProcess = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let done = from - 1;
  const { stdout } = child;
  if (!stdout) throw new Error('no output');
  createInterface({ input: stdout }).on('line', (line) => {
    if (line !== 'ready') done = Number(line);
    // Anywhere from the open of the temporary file to the sync of the folder.
    if (done - from + 1 === after) setTimeout(() => child.kill('SIGKILL'), Math.random() * 6);
  });
  const [, signal] = await once(child, 'close');
  return { done, killed: signal === 'SIGKILL' };
}

t.test('kill -9 during 200 writes: the file always holds the old or the new state', async (t) => {
  const home = new Home(t);
  home.write({ OPENAI_API_KEY: 'sk', extra: 'kept', round: -1, filling: '' });
  let next = 0;
  let kills = 0;
  while (next < WRITES) {
    const { done, killed } = await writeAndKill(
      home.folder,
      next,
      1 + Math.floor(Math.random() * 30),
    );
    if (killed) kills++;
    const { round, filling, extra, OPENAI_API_KEY: key } = home.read() as Record<string, unknown>;
    t.ok(round === done || (killed && round === done + 1), `${round} after ${done}`);
    const expected = String(round).repeat(1 + ((Number(round) * 7919) % 4000));
    t.equal(filling === expected || round === -1, true, 'whole');
    t.strictSame([extra, key], ['kept', 'sk']);
    next = Number(round) + 1;
  }
  t.ok(kills > 3, `${kills} kills`);
  await new FileAuthStore(home.folder).transact((transaction) => transaction.write({}));
  t.ok(readdirSync(home.folder).includes('auth.lock'), 'the lock of a dead process is free');
});
