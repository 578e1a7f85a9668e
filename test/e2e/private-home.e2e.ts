import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { run, serve, start } from '../helpers/program.ts';
import { CODEX_VERSIONS, type CodexRun, installCodex, isSince } from './codex.ts';

/** The real home, and Codex in it with and without `run`. */
async function openScene(t: Test, program: string) {
  const backend = await startEmulator();
  t.teardown(() => backend.close());
  const folder = await mkdtemp(join(tmpdir(), 'private-home-'));
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const real = join(folder, '.codex');
  await mkdir(real);
  const { authJson, accessToken } = backend.issueLogin({ planType: 'plus' });
  await writeFile(join(real, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  await writeFile(join(real, 'config.toml'), '# mine\n[analytics]\nenabled = false\n');
  const config = join(folder, 'config.json');
  const upstream = { ...backend.upstream, proxy: null };
  await writeFile(config, JSON.stringify({ upstream }));
  const { url } = await serve(t, ['--config', config], { CODEX_HOME: real });
  const env = { HOME: folder, XDG_STATE_HOME: join(folder, 'state') };
  const behind = (...args: string[]) => ['run', '--config', config, '--', program, ...args];
  const turn = (...args: string[]) => ['exec', '--skip-git-repo-check', ...args];
  return {
    backend,
    folder,
    real,
    accessToken,
    env,
    behind,
    /** A turn with `run`. */
    private: (...args: string[]) => run(t, behind(...turn(...args)), env),
    /** A turn of Codex in the real home, with an API key, as a user has who goes to another place. */
    plain: (...args: string[]): Promise<CodexRun> =>
      execute(program, ['-c', `openai_base_url="${url}/backend-api/codex"`, ...turn(...args)], {
        ...env,
        CODEX_API_KEY: 'k',
      }),
    /** The home of the program. */
    own: async () => {
      const [place = ''] = await readdir(join(folder, 'state/codex-auth-sidecar/agent-home'));
      return join(folder, 'state/codex-auth-sidecar/agent-home', place, real);
    },
  };
}

/** Runs Codex where `run` does, because it lists the sessions of its folder. */
function execute(program: string, args: string[], env: Record<string, string>): Promise<CodexRun> {
  const options = { env: { PATH: process.env.PATH, NO_PROXY: '127.0.0.1', ...env } };
  return new Promise((resolve) => {
    const child = execFile(program, args, options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

type Scene = Awaited<ReturnType<typeof openScene>>;

function sessionOf(
  t: Test,
  { code, stdout, stderr }: Pick<CodexRun, 'code' | 'stdout' | 'stderr'>,
) {
  t.equal(code, 0, stderr);
  t.match(stdout, 'Hello from the emulated backend.');
  return /session id: (\S+)/.exec(stderr + stdout)?.[1] ?? 'none';
}

/** What the model was asked last. */
function lastQuestion({ backend }: Scene): string {
  const turns = backend.records.filter(({ path }) => path.endsWith('/responses'));
  const { body, frames } = turns.at(-1) ?? {};
  return JSON.stringify(body ?? frames);
}

for (const version of CODEX_VERSIONS) {
  t.test(`Codex ${version}: sessions go on in both homes, each without a login`, async (t) => {
    const scene = await openScene(t, await installCodex(version));
    const first = sessionOf(t, await scene.private('one'));
    t.equal(sessionOf(t, await scene.plain('resume', '--last', 'two')), first);
    t.equal(sessionOf(t, await scene.private('resume', '--last', 'three')), first);
    const second = sessionOf(t, await scene.plain('four'));
    t.equal(sessionOf(t, await scene.private('resume', second, 'five')), second);
    const status = await run(t, scene.behind('login', 'status'), scene.env);
    t.match(status.stdout + status.stderr, 'Logged in using ChatGPT');

    const side = scene.backend.records.filter(({ path }) => /\/(ps|plugins|wham)\//.test(path));
    t.ok(side.length > 0, 'it asked for what only those ask who are signed in');
    for (const { auth, path } of scene.backend.records) {
      t.ok(auth.verified, `${path}: ${auth.problem}`);
    }
    const login = await readFile(join(await scene.own(), 'auth.json'), 'utf8');
    t.notMatch(login, scene.accessToken);
    t.match(await readFile(join(scene.real, 'auth.json'), 'utf8'), scene.accessToken);
  });

  t.test(`Codex ${version}: two runs at once, and one that is killed`, async (t) => {
    const scene = await openScene(t, await installCodex(version));
    scene.backend.addFault({ path: '/backend-api/codex/responses', delayMs: 60_000 });
    const killed = start(t, scene.behind('exec', '--skip-git-repo-check', 'never'), scene.env);
    await scene.backend.waitFor(({ path }) => path.endsWith('/responses'));
    const [one, two] = await Promise.all([scene.private('one'), scene.private('two')]);
    t.not(sessionOf(t, one), sessionOf(t, two));
    killed.kill('SIGKILL');
    await killed.ended;
    const last = sessionOf(t, await scene.private('three'));
    t.equal(sessionOf(t, await scene.plain('resume', '--last', 'four')), last);
  });
}

for (const version of CODEX_VERSIONS.filter((known) => isSince(known, '0.169.0'))) {
  t.test(`Codex ${version}: configuration is read and written through the home`, async (t) => {
    const scene = await openScene(t, await installCodex(version));
    await mkdir(join(scene.folder, 'dot'));
    await writeFile(join(scene.folder, 'dot/out.md'), 'INSTRUCTIONS FROM OUTSIDE');
    await writeFile(join(scene.real, 'in.md'), 'INSTRUCTIONS FROM INSIDE');
    await writeFile(join(scene.real, 'AGENTS.md'), 'NEVER PUSH');
    const outside = 'model = "profiled"\nmodel_instructions_file = "../dot/out.md"\n';
    await writeFile(join(scene.real, 'out.config.toml'), outside);
    await writeFile(join(scene.real, 'in.config.toml'), 'model_instructions_file = "in.md"\n');
    const args = ['exec', '--skip-git-repo-check', 'hi'];
    sessionOf(t, await run(t, scene.behind('-p', 'out', ...args), scene.env));
    for (const text of ['INSTRUCTIONS FROM OUTSIDE', '"model":"profiled"', 'NEVER PUSH']) {
      t.match(lastQuestion(scene), text);
    }
    sessionOf(t, await run(t, scene.behind('-p', 'in', ...args), scene.env));
    t.match(lastQuestion(scene), 'INSTRUCTIONS FROM INSIDE');

    const added = await run(t, scene.behind('mcp', 'add', 'mine', '--', 'true'), scene.env);
    t.equal(added.code, 0, added.stderr);
    t.match(
      await readFile(join(scene.real, 'config.toml'), 'utf8'),
      /^# mine\n[\s\S]*mcp_servers\.mine/,
    );
  });
}
