import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { runProgram } from '../helpers/recovery-program.ts';
import { Home, TOKEN } from '../helpers/sidecar-with-clock.ts';

async function setUp(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  const config = join(home.folder, 'config.json');
  const upstream = { ...emulator.upstream, proxy: null };
  writeFileSync(config, JSON.stringify({ codexHome: home.folder, upstream }));
  const logout = (...args: string[]) => runProgram(['logout', '--config', config, ...args], {});
  return { emulator, home, logout };
}

t.test('a logout takes every credential out and keeps the rest', async (t) => {
  const { emulator, home, logout } = await setUp(t);
  home.write({ ...emulator.issueLogin().authJson, agent_identity: 'x', extra: 1 });
  const { code, stdout } = await logout();
  t.equal(code, 0);
  t.equal(stdout, `removed the credential from ${home.path}\n`);
  t.strictSame(home.read(), { extra: 1 });
  t.equal(emulator.records.length, 0, 'without --revoke nothing is sent');
});

t.test('--revoke ends the login at the backend first', async (t) => {
  const { emulator, home, logout } = await setUp(t);
  const { authJson, refreshToken: refresh_token } = emulator.issueLogin();
  home.write(authJson);
  const { code, stdout } = await logout('--revoke');
  t.equal(code, 0);
  t.match(stdout, /^revoked the refresh token\nremoved the credential/);
  t.strictSame(home.read(), {});
  const answer = await fetch(emulator.url + TOKEN, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id: 'codex', grant_type: 'refresh_token', refresh_token }),
  });
  t.equal(answer.status, 401);
  home.write({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk' });
  t.match((await logout('--revoke')).stdout, 'no refresh token to revoke');
});

t.test('a revocation that fails removes nothing', async (t) => {
  const { emulator, home, logout } = await setUp(t);
  const { authJson } = emulator.issueLogin();
  home.write(authJson);
  emulator.addFault({ path: '/oauth/revoke', status: 503 });
  const { code, stderr } = await logout('--revoke');
  t.equal(code, 1);
  t.match(stderr, /nothing was removed: the revocation endpoint answered 503/);
  t.strictSame(home.read(), authJson);
});

t.test('nothing stored, and a file that cannot be used', async (t) => {
  const { home, logout } = await setUp(t);
  const nothing = await logout();
  t.equal(nothing.code, 0);
  t.match(nothing.stdout, 'holds no credential');
  home.write({ auth_mode: 'bedrockApiKey', extra: 1 });
  t.equal((await logout()).code, 0);
  t.strictSame(home.read(), { extra: 1 });
  home.write({ auth_mode: 'bedrockApiKey' });
  const { code, stderr } = await logout('--revoke');
  t.equal(code, 1, 'what is to be revoked is unknown');
  t.match(stderr, 'cannot be used here');
});
