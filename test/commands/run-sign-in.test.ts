import t from 'tap';
import { refuseSignIn } from '../../src/commands/run/refuse-sign-in.ts';
import { makeFolder, run } from '../helpers/program.ts';

t.test('signing in or out behind run is refused, with what to type instead', async (t) => {
  const login = { message: /type "codex-auth-sidecar login --device-auth" instead/ };
  const logout = { message: /type "codex-auth-sidecar logout" instead/ };
  for (const command of [
    ['codex', 'login'],
    ['/usr/bin/codex', 'login', '--device-auth'],
    ['codex', '-c', 'model="x"', '--search', 'login', '--with-api-key'],
    ['npx', '@openai/codex', 'login'],
  ]) {
    t.throws(() => refuseSignIn(command), login, command.join(' '));
  }
  t.throws(() => refuseSignIn(['codex', 'logout']), logout);
});

t.test('everything else passes', async (t) => {
  for (const command of [
    ['codex'],
    ['codex', 'login', 'status'],
    ['codex', 'exec', 'login'],
    ['codex', '-m', 'login', 'exec', 'hi'],
    ['other', 'login'],
  ]) {
    t.doesNotThrow(() => refuseSignIn(command), command.join(' '));
  }
});

t.test('run says so before anything starts', async (t) => {
  const home = await makeFolder(t);
  const { code, stderr } = await run(t, ['run', '--', 'codex', 'login'], { CODEX_HOME: home });
  t.equal(code, 1);
  t.match(stderr, /^codex-auth-sidecar: the sidecar holds the login of this Codex; type .*\n$/);
});
