import { existsSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { type Program, start } from '../helpers/program.ts';
import { Home } from '../helpers/sidecar-with-clock.ts';

async function setUp(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  emulator.settings.deviceIntervalSeconds = 1;
  const home = new Home(t);
  const config = `${home.folder}/sidecar.json`;
  writeFileSync(config, JSON.stringify({ upstream: { oauthIssuer: emulator.url } }));
  const login = (args: string[] = [], terminal = false) =>
    start(t, ['login', '--device-auth', '--config', config, ...args], env(home), {
      terminal,
    });
  return { emulator, home, login };
}

const env = (home: Home) => ({ CODEX_HOME: home.folder, HOME: home.folder });

/** The code that the program has printed. */
async function codeOf(program: Program): Promise<string> {
  const line = await program.line((text) => /^ {4}[A-Z0-9]{4}-[A-Z0-9]{5}\r?$/.test(text));
  return line.trim();
}

async function signIn(program: Program, emulator: Emulator, account: object | 'denied' = {}) {
  emulator.decideDeviceLogin(await codeOf(program), account);
  return program.ended;
}

t.test('signs in with nothing but a page elsewhere, and stores what Codex would', async (t) => {
  const { emulator, home, login } = await setUp(t);
  const { code, stdout, stderr } = await signIn(login(), emulator, { accountId: 'account-1' });
  t.equal(code, 0, stderr);
  t.match(stdout, `Open ${emulator.url}/codex/device in a browser`);
  t.match(stdout, /Type it only if you began this sign-in yourself/);
  t.match(stdout, `signed in (plan pro); stored in ${home.path}`);
  t.notMatch(stdout + stderr, /[▀▄█]/, 'a QR code is for terminals');
  const { tokens, last_refresh, ...rest } = home.read() as Record<string, Record<string, unknown>>;
  t.strictSame(rest, { auth_mode: 'chatgpt', OPENAI_API_KEY: null });
  t.match(last_refresh, /^\d{4}-.*Z$/);
  t.match(tokens, {
    account_id: 'account-1',
    login_owner_id: /^[A-Za-z0-9_-]{43}$/,
    oauth_provenance: { issuer: emulator.url, client_id: 'app_EMoamEEZ73f0CkXaXp7hrann' },
  });
});

t.test('a terminal shows a QR code and the time that is left', async (t) => {
  const { emulator, login } = await setUp(t);
  const { code, stdout } = await signIn(login([], true), emulator);
  t.equal(code, 0, stdout);
  t.match(stdout, /[▀▄█]{5}/);
  t.match(stdout, /the code is good for another 1[45]:\d\d/);
});

t.test('Ctrl-C ends it at once, and nothing is stored', async (t) => {
  const { home, login } = await setUp(t);
  const program = login();
  await codeOf(program);
  program.kill('SIGINT');
  const { code, stderr } = await program.ended;
  t.equal(code, 1);
  t.equal(stderr, 'codex-auth-sidecar: the sign-in was cancelled, and nothing was stored\n');
  t.equal(existsSync(home.path), false);
});

t.test("another account's login stays, unless it may be replaced", async (t) => {
  const { emulator, home, login } = await setUp(t);
  const { authJson } = emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
  home.write({ ...authJson, extra: 1 });
  const other = { accountId: 'account-2', userId: 'user-2' };
  const refused = await signIn(login(), emulator, other);
  t.equal(refused.code, 1);
  t.match(refused.stderr, /holds another credential, which stays; repeat with --replace/);
  t.strictSame(home.read(), { ...authJson, extra: 1 });
  const { body } = await emulator.waitFor(({ path }) => path === '/oauth/revoke');
  t.match(body, { token: /^rt-/ }, 'the login that nobody uses does not live on');

  const again = await signIn(login(), emulator, { accountId: 'account-1', userId: 'user-1' });
  t.equal(again.code, 0, again.stderr);
  t.match(home.read(), { extra: 1, tokens: { account_id: 'account-1' } });

  const replaced = await signIn(login(['--replace']), emulator, other);
  t.equal(replaced.code, 0, replaced.stderr);
  t.match(home.read(), { extra: 1, tokens: { account_id: 'account-2' } });
});

t.test('a credential of another kind is refused before anybody is asked', async (t) => {
  const { emulator, home, login } = await setUp(t);
  home.write({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk-1' });
  const { code, stderr } = await login().ended;
  t.equal(code, 1);
  t.match(stderr, /holds another credential/);
  t.equal(emulator.records.length, 0);
});

t.test('what somebody else writes meanwhile is not overwritten', async (t) => {
  const { emulator, home, login } = await setUp(t);
  const program = login(['--replace']);
  const code = await codeOf(program);
  const meanwhile = { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-meanwhile' };
  home.write(meanwhile);
  emulator.decideDeviceLogin(code);
  const { code: exit, stderr } = await program.ended;
  t.equal(exit, 1);
  t.match(stderr, /was changed while you signed in, so nothing was overwritten/);
  t.strictSame(home.read(), meanwhile);
});

t.test('each refusal of the server is one line that says what to do', async (t) => {
  const { emulator, login } = await setUp(t);
  t.match((await signIn(login(), emulator, 'denied')).stderr, /denied on the page/);
  emulator.settings.deviceCodeSeconds = 1;
  t.match((await login().ended).stderr, /the code has expired; start the sign-in again/);
  emulator.settings.deviceLogin = false;
  t.match((await login().ended).stderr, /not enabled at/);
  emulator.addFault({ path: '/api/accounts/deviceauth/usercode', status: 429, times: 1 });
  t.match((await login().ended).stderr, /too many sign-ins were begun; try again later/);
});

t.test('without an option, a terminal asks and anything else says what there is', async (t) => {
  const { emulator, home } = await setUp(t);
  const nobody = await start(t, ['login'], env(home)).ended;
  t.equal(nobody.code, 2);
  t.match(nobody.stderr, /choose one of --device-auth, --with-agent-identity/);
  const config = { SIDECAR_CONFIG: `${home.folder}/sidecar.json` };
  const program = start(t, ['login'], { ...env(home), ...config }, { terminal: true });
  await program.line((text) => text.includes('(--import FILE)'));
  program.type('1\n');
  const { code, stdout } = await signIn(program, emulator);
  t.equal(code, 0, stdout);
});
