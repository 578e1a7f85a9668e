import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { Home, TOKEN } from '../helpers/sidecar-with-clock.ts';

const REFRESHER = fileURLToPath(new URL('../helpers/refresher-process.js', import.meta.url));
const PATIENCE_MS = 200;

t.test('a process that stands still for longer than its patience keeps the tokens', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  home.write(emulator.issueLogin().authJson);
  const before = home.field('tokens', 'refresh_token');
  emulator.addFault({ path: TOKEN, delayMs: 100 });
  const child = spawn(
    process.execPath,
    [REFRESHER, home.folder, emulator.upstream.oauthTokenUrl, '1', String(PATIENCE_MS)],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exited = once(child, 'exit');
  await emulator.waitFor(({ path }) => path === TOKEN);
  child.kill('SIGSTOP');
  await emulator.waitFor(({ path, complete }) => path === TOKEN && complete);
  // Longer than the process waits, and longer than it reads.
  await sleep(5 * PATIENCE_MS);
  child.kill('SIGCONT');
  t.strictSame(await exited, [0, null]);
  t.not(home.field('tokens', 'refresh_token'), before);
});
