import { execFileSync } from 'node:child_process';
import t from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { makeFile, serve } from '../helpers/program.ts';
import { getModels, Home, MODELS, TOKEN } from '../helpers/sidecar-with-clock.ts';

// A limit on the size of files fails a write as a full disk does, and can be lifted from outside
// without a trace in the folder that the sidecar watches.
function limitFileSize(pid: number, limit: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${limit}:unlimited`]);
}

t.test('tokens that did not fit on the disk are written before exit', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  home.write(emulator.issueLogin().authJson);
  const spent = home.field('tokens', 'refresh_token');
  const upstream = { ...emulator.upstream, proxy: null };
  const config = await makeFile(t, 'config.json', { codexHome: home.folder, upstream });
  const { program, url } = await serve(t, ['--config', config]);
  limitFileSize(program.pid, '0');
  emulator.expireAccessTokens();
  t.equal((await getModels({ url })).status, 200);
  t.equal(home.field('tokens', 'refresh_token'), spent);
  limitFileSize(program.pid, 'unlimited');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  t.not(home.field('tokens', 'refresh_token'), spent);
  t.match(program.stdout, 'EFBIG');
});

t.test('a refresh that nobody waits for any more is not lost at a stop', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  home.write(emulator.issueLogin().authJson);
  const spent = home.field('tokens', 'refresh_token');
  const upstream = { ...emulator.upstream, proxy: null };
  const config = await makeFile(t, 'config.json', { codexHome: home.folder, upstream });
  const { program, url } = await serve(t, ['--config', config]);
  emulator.expireAccessTokens();
  emulator.addFault({ path: TOKEN, delayMs: 500 });
  const leaving = new AbortController();
  const asked = fetch(url + MODELS, { signal: leaving.signal }).catch(() => undefined);
  await emulator.waitFor(({ path }) => path === TOKEN);
  leaving.abort();
  await asked;
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  t.not(home.field('tokens', 'refresh_token'), spent);
});
