import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { ask, Home, MODELS, TOKEN } from '../helpers/sidecar-with-clock.ts';

const REFRESHER = fileURLToPath(new URL('../helpers/refresher-process.js', import.meta.url));
const ROUNDS = 50;

t.test('two processes on one auth.json, each told to refresh 50 times', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  const { authJson, accountId } = emulator.issueLogin();
  home.write(authJson);
  const args = [REFRESHER, home.folder, emulator.upstream.oauthTokenUrl, String(ROUNDS)];
  const run = () => promisify(execFile)(process.execPath, args);
  const ends = await Promise.all([run(), run()]);
  const refreshes = emulator.records.filter(({ path }) => path === TOKEN);
  t.ok(
    refreshes.every(({ status }) => status === 200),
    'no refresh token was used twice',
  );
  t.ok(refreshes.length >= ROUNDS, `${refreshes.length} refreshes for ${2 * ROUNDS} orders`);
  for (const { stdout } of ends) {
    const { accessToken } = JSON.parse(stdout) as { accessToken: string };
    const headers = { authorization: `Bearer ${accessToken}`, 'chatgpt-account-id': accountId };
    t.equal((await ask(emulator.url + MODELS, { headers })).status, 200);
  }
});
