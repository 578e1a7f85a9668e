import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { agentHome } from '../../src/commands/codex/home.ts';
import { withIsolatedHome } from '../../src/commands/run/isolated-home.ts';
import { defaultLogFile, openRunLog } from '../../src/commands/run/log.ts';
import { ChildStartError, runProcess } from '../../src/commands/run/process.ts';

const never = new AbortController().signal;

async function startFailure(program: string): Promise<unknown> {
  return runProcess([program], { PATH: process.env.PATH }, never).catch((error: unknown) => error);
}

t.test('a program that is not there, and one that cannot be run', async (t) => {
  t.match(await startFailure('/nonexistent/x'), { exitCode: 127 });
  const file = join(t.testdir({ file: '' }), 'file');
  const failure = await startFailure(file);
  t.ok(failure instanceof ChildStartError);
  t.match(failure, { exitCode: 126, message: `cannot start ${file} (EACCES)` });
});

t.test('a failure of the sidecar ends the child', async (t) => {
  const abort = new AbortController();
  const ended = runProcess(['sleep', '20'], { PATH: process.env.PATH }, abort.signal);
  setImmediate(() => abort.abort());
  t.equal(await ended, 128 + 15);
});

t.test('no handler of a signal is left behind', async (t) => {
  const before = process.listenerCount('SIGTERM');
  await runProcess(['true'], { PATH: process.env.PATH }, never);
  t.equal(process.listenerCount('SIGTERM'), before);
});

const OPTIONS = {
  level: 'info',
  levelNames: 'words',
  verbose: false,
  env: {},
  warn: () => undefined,
} as const;

t.test('--log-file is appended to, for its owner alone', async (t) => {
  const file = join(t.testdir({}), 'new', 'x.log');
  for (const text of ['one', 'two']) (await openRunLog({ ...OPTIONS, file })).log.info(text);
  t.match(readFileSync(file, 'utf8'), /"one"\}\n.*"two"\}\n$/);
  t.equal(statSync(file).mode & 0o777, 0o600);
});

t.test('a log that has grown large is put aside', async (t) => {
  const file = join(t.testdir({}), 'x.log');
  writeFileSync(file, Buffer.alloc(1024 * 1024 + 1));
  (await openRunLog({ ...OPTIONS, file })).log.info('new');
  t.match(readFileSync(file, 'utf8'), /^\{.*"new"\}\n$/);
  t.equal(statSync(`${file}.1`).size, 1024 * 1024 + 1);
});

t.test('a --log-file that cannot be written is refused', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file', 'x');
  const problem = { message: /^--log-file: cannot write the log .* \((EEXIST|ENOTDIR)\)$/ };
  await t.rejects(openRunLog({ ...OPTIONS, file }), ConfigError);
  await t.rejects(openRunLog({ ...OPTIONS, file }), problem);
});

t.test('without a place for state it says that nothing is logged', async (t) => {
  const warnings: string[] = [];
  const env = { XDG_STATE_HOME: join(t.testdir({ file: '' }), 'file') };
  const warn = (line: string) => warnings.push(line);
  const { log } = await openRunLog({ ...OPTIONS, env, warn, file: null });
  t.equal(log.level, 'silent');
  t.match(warnings, [
    /so nothing is logged; choose another file with --log-file, or use --verbose$/,
  ]);
});

t.test('the file for state', async (t) => {
  t.equal(defaultLogFile({ XDG_STATE_HOME: '/s' }), '/s/codex-auth-sidecar/run.log');
  t.match(defaultLogFile({}), /\/\.local\/state\/codex-auth-sidecar\/run\.log$/);
});

t.test('without a place for state the home is a temporary folder, and that is said', async (t) => {
  const warnings: string[] = [];
  const state = join(t.testdir({ file: '' }), 'file', 'x');
  const home = await withIsolatedHome(
    '/nonexistent',
    state,
    (line) => warnings.push(line),
    async (folder) => {
      t.ok(existsSync(folder));
      return folder;
    },
  );
  t.notOk(existsSync(home));
  t.match(warnings, [/^cannot write in .* \((EEXIST|ENOTDIR)\), so CODEX_HOME is in /]);
});

t.test('leftovers of killed runs are swept by the next, and no home that is in use', async (t) => {
  const state = t.testdir({ 'home-killed': { 'config.toml': 'secret' }, 'run.log': '' });
  const fail = (line: string) => t.fail(line);
  await withIsolatedHome('/nonexistent', state, fail, async (first) => {
    t.notOk(existsSync(join(state, 'home-killed')));
    await withIsolatedHome('/nonexistent', state, fail, async () => t.ok(existsSync(first)));
    t.ok(existsSync(first));
  });
  t.strictSame(readdirSync(state), ['run.log']);
});

t.test('the child ends with its sidecar, however that ends', async (t) => {
  const modules = new URL('../../src/commands/run/process.js', import.meta.url).href;
  const script = `
    const { runProcess } = await import(${JSON.stringify(modules)});
    await runProcess(['sh', '-c', 'echo $$; exec sleep 600'], { PATH: process.env.PATH }, new AbortController().signal);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The child holds the other end of the pipe for ten minutes, or until it ends.
  const closed = once(parent, 'close');
  const [pid] = await once(parent.stdout, 'data');
  t.match(String(pid), /^\d+\n$/);
  parent.kill('SIGKILL');
  parent.stdout.resume();
  t.strictSame(await closed, [null, 'SIGKILL'], 'and nobody holds its output any more');
});

const canUnshare = spawnSync('unshare', ['-fp', '--mount-proc', 'true']).status === 0;
const asProcessOne = canUnshare ? {} : { skip: 'needs root and process namespaces' };

t.test('run refuses to be process 1, and names the remedy', asProcessOne, async (t) => {
  const program = new URL('../../src/cli.js', import.meta.url).pathname;
  const args = ['-fp', '--mount-proc', process.execPath, program, 'run', '--', 'true'];
  const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
  t.equal(status, 2);
  t.match(stderr, /run cannot be process 1, .*"docker run --init"/);
});

t.test('the throw-away home may lie in the home that it is made from', async (t) => {
  const home = t.testdir({ 'config.toml': 'a = 1', rules: { 'x.rules': '' }, '.local': {} });
  const state = join(home, '.local', 'state');
  const found = await withIsolatedHome(home, state, t.fail, async (folder) => readdirSync(folder));
  t.strictSame(found.sort(), ['config.toml', 'rules']);
});

t.test('the home of the agent: "~" is the home folder, whoever set the variable', async (t) => {
  const HOME = '/home/someone';
  t.equal(agentHome({ HOME }), '/home/someone/.codex');
  t.equal(agentHome({ HOME, CODEX_HOME: '~/codex' }), '/home/someone/codex');
  t.equal(agentHome({ HOME, CODEX_HOME: '/elsewhere' }), '/elsewhere');
  t.throws(() => agentHome({ HOME, CODEX_HOME: '~root/.codex' }), { message: /whole path/ });
});
