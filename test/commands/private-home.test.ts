import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { PrivateHome } from '../../src/commands/run/private-home.ts';
import { phantomKey } from '../../src/oauth/phantom-login.ts';

interface Scene {
  real: string;
  state: string;
  warnings: string[];
  open: () => Promise<PrivateHome>;
}

/** A real home with `files`, in a folder that holds nothing else. */
function makeScene(t: Test, files: Record<string, string> = {}): Scene {
  const folder = t.testdir({ home: { '.codex': {} }, state: {} });
  const real = join(folder, 'home', '.codex');
  const state = join(folder, 'state');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(real, name)), { recursive: true });
    writeFileSync(join(real, name), text);
  }
  const warnings: string[] = [];
  const open = () =>
    PrivateHome.open({ CODEX_HOME: real }, state, (line) => void warnings.push(line));
  return { real, state, warnings, open };
}

const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
const put = (text: string, ...path: string[]) => writeFileSync(join(...path), text);
const isLink = (...path: string[]) => lstatSync(join(...path)).isSymbolicLink();

/** As a program does that replaces files by a rename, whatever was there. */
function replace(text: string, ...path: string[]): void {
  put(text, dirname(join(...path)), '.replacement');
  renameSync(join(dirname(join(...path)), '.replacement'), join(...path));
}

t.test('all is shared but the login, its copies, caches and what processes own', async (t) => {
  const shared = ['config.toml', 'p.config.toml', 'AGENTS.md', 'rules/a.rules', 'authors.md'];
  const own = ['auth.json', 'auth.json.bak', '.auth.json.1f', 'auth.lock', 'models_cache.json'];
  const processes = ['tmp/arg0/x', 'app-server-control/x', 'state_5.sqlite', 'state_5.sqlite-wal'];
  const names = [...shared, ...own, ...processes];
  const { real, open } = makeScene(t, Object.fromEntries(names.map((name) => [name, name])));
  const home = await open();
  for (const name of shared) t.equal(read(home.path, name), name);
  for (const name of [...own, ...processes]) t.notOk(existsSync(join(home.path, name)), name);
  for (const name of ['sessions', 'archived_sessions', 'memories', 'history.jsonl']) {
    t.equal(readlinkSync(join(home.path, name)), join(real, name));
  }
  await home.close();
});

t.test('what is written through a link, also to a new file, is in the real home', async (t) => {
  const { real, open } = makeScene(t, { 'AGENTS.md': 'one' });
  const home = await open();
  put('two', home.path, 'AGENTS.md');
  put('model = "m"\n', home.path, 'config.toml');
  mkdirSync(join(home.path, 'sessions', '2026'));
  replace('three', real, 'AGENTS.md');
  t.equal(read(home.path, 'AGENTS.md'), 'three', 'and the other way round');
  t.equal(read(real, 'config.toml'), 'model = "m"\n');
  t.ok(existsSync(join(real, 'sessions', '2026')));
  await home.close();
  t.equal(statSync(home.path).mode & 0o777, 0o700);
});

t.test('paths that go out of the home lead to the same files', async (t) => {
  const { real, open } = makeScene(t, {
    'config.toml':
      'model_instructions_file = "../dot/a.md"\nargs = ["x/../../top.md", "../../deep"]\n',
    'roles/r.toml': 'model_instructions_file = "../../role.md"\n',
    'broken.toml': 'x = "../no',
  });
  for (const [name, folder] of [
    ['dot/a.md', '..'],
    ['top.md', '..'],
    ['role.md', '..'],
    ['deep', '../..'],
  ] as const) {
    mkdirSync(dirname(join(real, folder, name)), { recursive: true });
    put(name, real, folder, name);
  }
  const home = await open();
  // As text, which is how Codex does it.
  t.equal(read(join(home.path, '../dot/a.md')), 'dot/a.md');
  t.equal(read(join(home.path, '../top.md')), 'top.md');
  t.equal(read(join(home.path, '../role.md')), 'role.md');
  t.equal(read(join(home.path, '../../deep')), 'deep');
  await home.close();
});

t.test('what the program made anew is moved to the real home, and linked', async (t) => {
  const { real, warnings, open } = makeScene(t, { 'skills/mine/SKILL.md': 'mine' });
  const home = await open();
  put('profile', home.path, 'new.config.toml');
  mkdirSync(join(home.path, 'rules'));
  put('rule', home.path, 'rules', 'default.rules');
  put('cache', home.path, 'models_cache.json');
  // Both homes got a folder of this name.
  mkdirSync(join(home.path, 'plugins'));
  put('ours', home.path, 'plugins', 'ours');
  mkdirSync(join(real, 'plugins'));
  put('theirs', real, 'plugins', 'theirs');
  symlinkSync('/nonexistent', join(home.path, 'odd'));
  await home.close();
  t.equal(read(real, 'new.config.toml'), 'profile');
  t.equal(read(real, 'rules', 'default.rules'), 'rule');
  t.strictSame(readdirSync(join(real, 'plugins')), ['ours', 'theirs']);
  for (const name of ['new.config.toml', 'rules', 'plugins']) t.ok(isLink(home.path, name), name);
  t.equal(read(home.path, 'models_cache.json'), 'cache', 'caches stay');
  t.notOk(existsSync(join(real, 'models_cache.json')));
  t.strictSame(warnings, []);
});

t.test('a file that replaced a link replaces the real one, unless that changed too', async (t) => {
  const { real, warnings, open } = makeScene(t, {
    'config.toml': 'a = 1\n',
    'AGENTS.md': 'one',
    same: 'same',
  });
  const home = await open();
  replace('a = 2\n', home.path, 'config.toml');
  replace('from run', home.path, 'AGENTS.md');
  replace('same', home.path, 'same');
  replace('from elsewhere', real, 'AGENTS.md');
  await home.close();
  t.equal(read(real, 'config.toml'), 'a = 2\n');
  t.equal(read(real, 'AGENTS.md'), 'from elsewhere');
  const [kept = ''] = readdirSync(real).filter((name) => name.endsWith('.bak'));
  t.equal(read(real, kept), 'from run');
  t.match(warnings, [/AGENTS\.md changed both there and in the program's home; .*\.bak$/]);
  for (const name of ['config.toml', 'AGENTS.md', 'same']) t.ok(isLink(home.path, name), name);
});

t.test('a real file that is itself a link stays one', async (t) => {
  const { real, open } = makeScene(t, { '../dotfiles/config.toml': 'a = 1\n' });
  symlinkSync('../dotfiles/config.toml', join(real, 'config.toml'));
  const home = await open();
  replace('a = 2\n', home.path, 'config.toml');
  await home.close();
  t.equal(readlinkSync(join(real, 'config.toml')), '../dotfiles/config.toml');
  t.equal(read(real, 'config.toml'), 'a = 2\n');
});

t.test('two runs at once have one token, and the last one gives back', async (t) => {
  const { real, open } = makeScene(t);
  const one = await open();
  const two = await open();
  t.equal(two.path, one.path);
  t.equal(two.clientToken, one.clientToken);
  put('x', one.path, 'new');
  await two.close();
  t.notOk(existsSync(join(real, 'new')), 'the other run may be writing it');
  await one.close();
  t.equal(read(real, 'new'), 'x');
  const three = await open();
  t.not(three.clientToken, one.clientToken, 'a token does not outlive its runs');
  await three.close();
});

t.test('runs that begin at once agree', async (t) => {
  const { open } = makeScene(t);
  const homes = await Promise.all(Array.from({ length: 4 }, open));
  t.equal(new Set(homes.map(({ clientToken }) => clientToken)).size, 1);
  await Promise.all(homes.map((home) => home.close()));
});

t.test('what a killed run left is given back by the next, and its token is gone', async (t) => {
  const { real, state, open } = makeScene(t, { 'config.toml': 'a = 1\n' });
  const module = new URL('../../src/commands/run/private-home.js', import.meta.url).href;
  const script = `
    import { renameSync, writeFileSync } from 'node:fs';
    const { PrivateHome } = await import(${JSON.stringify(module)});
    const env = { CODEX_HOME: ${JSON.stringify(real)} };
    const home = await PrivateHome.open(env, ${JSON.stringify(state)}, () => undefined);
    writeFileSync(home.path + '/new', 'x');
    writeFileSync(home.path + '/c', 'a = 2');
    renameSync(home.path + '/c', home.path + '/config.toml');
    console.log(home.clientToken);
    setInterval(() => undefined, 1000);
  `;
  const run = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  const [token] = await once(run.stdout, 'data');
  run.kill('SIGKILL');
  await once(run, 'close');
  // On its way into the real home when a run died, while its original is still in the other one.
  mkdirSync(join(real, '.codex-auth-sidecar-0123456789ab'));
  const home = await open();
  t.equal(read(real, 'new'), 'x');
  t.equal(read(real, 'config.toml'), 'a = 2');
  t.ok(isLink(home.path, 'config.toml'));
  t.not(home.clientToken, String(token).trim());
  t.strictSame(
    readdirSync(real).filter((name) => name.startsWith('.codex-auth-sidecar-')),
    [],
  );
  await home.close();
});

t.test('links follow names: a removed file, one that points elsewhere', async (t) => {
  const { real, open } = makeScene(t, { old: 'x', moved: 'x' });
  const first = await open();
  await first.close();
  rmSync(join(real, 'old'));
  rmSync(join(first.path, 'moved'));
  symlinkSync('/etc/hostname', join(first.path, 'moved'));
  const home = await open();
  t.notOk(lstatSync(join(home.path, 'old'), { throwIfNoEntry: false }));
  t.equal(readlinkSync(join(home.path, 'moved')), join(real, 'moved'));
  await home.close();
});

t.test('a phantom login comes and is replaced; another login stays and is named', async (t) => {
  const { real, open } = makeScene(t, { 'auth.json': '{"OPENAI_API_KEY":"real"}' });
  const home = await open();
  const login = (clientToken: string) => phantomKey({ issuer: 'http://127.0.0.1:1', clientToken });
  await home.signIn(login('one'));
  await home.signIn(login('two'));
  t.match(JSON.parse(read(home.path, 'auth.json')), { OPENAI_API_KEY: 'two' });
  t.equal(statSync(join(home.path, 'auth.json')).mode & 0o777, 0o600);
  t.equal(read(real, 'auth.json'), '{"OPENAI_API_KEY":"real"}');
  put('{"OPENAI_API_KEY":"of somebody"}', home.path, 'auth.json');
  await t.rejects(home.signIn(login('three')), {
    message: new RegExp(`holds a login of its own, .*"CODEX_HOME=${home.path} codex logout"`),
  });
  t.match(read(home.path, 'auth.json'), 'of somebody');
  await home.close();
  t.match(read(real, 'auth.json'), 'real', 'no login is given back');
});

t.test('the state folder may lie in the real home', async (t) => {
  const { real } = makeScene(t, { 'config.toml': 'a = 1\n', '.local/x': 'x' });
  const state = join(real, '.local', 'state');
  const home = await PrivateHome.open({ CODEX_HOME: real }, state, t.fail);
  t.equal(read(home.path, 'config.toml'), 'a = 1\n');
  t.notOk(existsSync(join(home.path, '.local')));
  await home.close();
});

t.test('where no home can be made, it says so and names the ways out', async (t) => {
  const folder = t.testdir({ file: '', home: {} });
  const opened = PrivateHome.open(
    { CODEX_HOME: join(folder, 'home') },
    join(folder, 'file'),
    t.fail,
  );
  await t.rejects(opened, {
    message: /^cannot make the program's home .*; set XDG_STATE_HOME .*, or use --isolate-home$/,
  });
});

/** In another file system than the tests, where the machine has one. */
const ELSEWHERE = ['/dev/shm', tmpdir()].find(
  (folder) => existsSync(folder) && statSync(folder).dev !== statSync('.').dev,
);
const withTwoFileSystems = ELSEWHERE ? {} : { skip: 'this machine has one file system' };

t.test('the two homes may be in different file systems', withTwoFileSystems, async (t) => {
  const { real, warnings } = makeScene(t, { 'config.toml': 'a = 1\n', 'plugins/x': 'x' });
  const state = mkdtempSync(join(ELSEWHERE ?? '', 'codex-home-'));
  t.teardown(() => rmSync(state, { recursive: true, force: true }));
  const home = await PrivateHome.open({ CODEX_HOME: real }, state, (line) => warnings.push(line));
  replace('a = 2\n', home.path, 'config.toml');
  put('new', home.path, 'new');
  mkdirSync(join(home.path, 'rules'));
  put('rule', home.path, 'rules', 'r');
  await home.close();
  t.equal(read(real, 'config.toml'), 'a = 2\n');
  t.equal(read(real, 'new'), 'new');
  t.equal(read(real, 'rules', 'r'), 'rule');
  t.ok(isLink(home.path, 'rules'));
  t.strictSame(warnings, []);
  t.strictSame(readdirSync(real).sort(), [
    ...['archived_sessions', 'config.toml', 'memories', 'new', 'plugins', 'rules'],
    ...['sessions', 'thread-writer-locks'],
  ]);
});
