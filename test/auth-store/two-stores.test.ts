import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import t from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import type { AuthStore } from '../../src/auth-store/store.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';

const ROUNDS = 6;

/** Reads and writes with a pause for everybody else in between. */
async function countUp(store: AuthStore, read: () => { count: number }): Promise<void> {
  await store.transact(async ({ write }) => {
    const { count } = read();
    await new Promise((resolve) => setImmediate(resolve));
    await write({ count: count + 1 });
  });
}

t.test('no change of two stores on one file is lost', async (t) => {
  const home = makeAuthHome(t, { count: 0 });
  const read = () => home.read() as { count: number };
  const stores = [home.store, new FileAuthStore(home.folder)];
  const rounds = Array.from({ length: ROUNDS }, () => stores.map((store) => countUp(store, read)));
  await Promise.all(rounds.flat());
  t.equal(read().count, ROUNDS * stores.length);
  t.ok(statSync(home.lockPath).isFile());
});

t.test('a store waits for another process and reads what it wrote', async (t) => {
  const home = makeAuthHome(t, { OPENAI_API_KEY: 'before' });
  const script = 'echo held; read line; echo \'{"OPENAI_API_KEY":"after"}\' > "$0"';
  const child = spawn('flock', [home.lockPath, 'sh', '-c', script, home.path]);
  await once(child.stdout, 'data');
  const seen = home.store.transact(async ({ current }) => current?.apiKey?.reveal());
  child.stdin.end('go on\n');
  t.equal(await seen, 'after');
});
