import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { SourceMap, type SourceMapping } from 'node:module';
import { dirname, join, normalize, resolve } from 'node:path';
import t from 'tap';
import { linksIn } from '../helpers/links.ts';
import { copyProject, execute, pack } from '../helpers/package.ts';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = t.testdir({ project: {}, user: {} });
const user = join(folder, 'user');
const installed = join(user, 'node_modules', manifest.name);
let tarball = '';
let warnings = '';

t.before(async () => {
  copyProject(join(folder, 'project'));
  for (const place of ['deploy', 'deploy/kubernetes/own-pod']) {
    mkdirSync(join(folder, 'project', place, 'secrets'));
    writeFileSync(join(folder, 'project', place, 'secrets/client-token'), 'of somebody');
  }
  tarball = await pack(join(folder, 'project'));
  writeFileSync(join(user, 'package.json'), '{"private":true,"type":"module"}\n');
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
  const install = ['install', '--prefer-offline', '--loglevel=warn', ...quiet, tarball];
  warnings = (await execute('npm', install, user)).stderr;
});

t.test('every package in it supports this Node.js', async (t) => {
  t.notMatch(warnings, 'EBADENGINE');
});

t.test('it holds what runs, what describes it, and nothing else', async (t) => {
  const { stdout } = await execute('tar', ['-tzf', tarball], folder);
  // Parts of the program are named by esbuild.
  const isPart = (name: string) => /^package\/dist\/[\w-]+\.js(\.map)?$/.test(name);
  const [parts, others] = [stdout.trim().split('\n')].flatMap((names) => [
    names.filter(isPart),
    names.filter((name) => !isPart(name)),
  ]);
  const expected = [
    // Whatever the types of a program that imports it refer to.
    ...['index', 'base/errors', 'config/config.generated'].map((name) => `dist/${name}.d.ts`),
    `dist/${manifest.name}.1`,
    'dist/LICENSES.txt',
    ...filesBelow('docs'),
    ...filesBelow('deploy').filter(
      (name) => !/^deploy\/(\.gitignore|secrets|.*\/secrets)/.test(name),
    ),
    ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md'],
    ...['bench/README.md', 'bench/results.svg', 'config.example.json', 'package.json'],
  ];
  t.strictSame(others?.sort(), expected.map((name) => `package/${name}`).sort());
  const scripts = parts?.filter((name) => name.endsWith('.js')) ?? [];
  t.strictSame(parts?.sort(), scripts.flatMap((name) => [name, `${name}.map`]).sort());
});

t.test('what its pages link to is in it', async (t) => {
  const pages = ['README.md', 'SECURITY.md', ...filesBelow('docs'), 'deploy/README.md'];
  for (const page of pages.filter((name) => name.endsWith('.md'))) {
    for (const target of linksIn(readFileSync(page, 'utf8'))) {
      const [path = ''] = target.split('#');
      const file = path === '' ? page : normalize(join(dirname(page), path));
      t.ok(existsSync(join(installed, file)), `${page}: ${target}`);
    }
  }
});

t.test('an installation is small', async (t) => {
  const { stdout } = await execute('du', ['-sk', 'node_modules'], user);
  t.ok(Number.parseInt(stdout, 10) <= 12_000, stdout);
});

t.test('a stack can be traced to a line of the sources', async (t) => {
  const map = new SourceMap(JSON.parse(readFileSync(join(installed, 'dist/cli.js.map'), 'utf8')));
  const lines = readFileSync(join(installed, 'dist/cli.js'), 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes('hardenProcess();'));
  const { originalSource, originalLine } = map.findEntry(line, 0) as SourceMapping;
  t.equal(originalSource, '../src/cli.ts');
  const original = readFileSync('src/cli.ts', 'utf8').split('\n')[originalLine];
  t.equal(original, 'hardenProcess();');
});

t.test('it names every package that it holds, with its licence', async (t) => {
  const text = readFileSync(join(installed, 'dist/LICENSES.txt'), 'utf8');
  const named = new Set(
    [...text.matchAll(/^((?:@[\w-]+\/)?[\w.-]+) \d\S* \(\S.*\)$/gm)].map(([, name]) => name),
  );
  const held = packagesIn(filesOf(installed));
  t.ok(held.size > 50, `${held.size} packages`);
  t.strictSame([...named].sort(), [...held].sort());
});

t.test('a start reads nothing of what is for later', async (t) => {
  const held = packagesIn(startedWith('cli.js'));
  t.ok(held.has('commander'));
  for (const name of ['fastify', 'undici', 'pg', 'pino-pretty']) t.notOk(held.has(name), name);
  const served = packagesIn(startedWith('index.js'));
  t.ok(served.has('fastify'));
  for (const name of ['pg', 'pino-pretty', 'tough-cookie', 'libsodium']) {
    t.notOk(served.has(name), name);
  }
});

t.test('the command is an executable script for Node.js', async (t) => {
  const { stdout } = await execute('tar', ['-tvzf', tarball], folder);
  const [mode] =
    stdout
      .split('\n')
      .find((line) => line.endsWith(`/${manifest.bin[manifest.name]}`))
      ?.split(' ') ?? [];
  t.equal(mode, '-rwxr-xr-x');
  const script = join(installed, manifest.bin[manifest.name]);
  t.match(readFileSync(script, 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

t.test('it holds a man page with every command and option', async (t) => {
  // npm links it for "man" where a package is installed for all.
  const all = join(folder, 'all');
  await execute('npm', ['install', '-g', '--offline', '--prefix', all, tarball], user);
  const page = join(all, 'share/man/man1', `${manifest.name}.1`);
  const text = readFileSync(page, 'utf8').replaceAll('\\-', '-');
  const bin = join(user, 'node_modules/.bin', manifest.name);
  const help = async (...words: string[]) => (await execute(bin, [...words, '-h'], user)).stdout;
  const commands = (await help()).split('\nCommands:\n')[1]?.matchAll(/^ {2}([a-z-]+)/gm) ?? [];
  for (const [, command = ''] of commands) {
    t.match(text, new RegExp(`^\\.SS ${command}\\b`, 'm'), command);
    for (const [, option = ''] of (await help(command)).matchAll(/^ {2}(--[a-z-]+)/gm)) {
      t.ok(text.includes(`\\fB${option}\\fR`), `${command} ${option}`);
    }
  }
  t.ok(text.includes('SIDECAR_LISTEN_SOCKET_MODE'));
  if (spawnSync('groff', ['--version']).status !== 0) {
    t.pass('groff reads it without a complaint', { skip: 'there is no groff' });
    return;
  }
  const { stderr } = await execute('groff', ['-man', '-ww', '-b', '-z', '-Tutf8', page], user);
  t.equal(stderr, '', 'groff reads it without a complaint');
});

t.test('npx runs it', async (t) => {
  const { stdout } = await execute('npx', ['--no', '--', manifest.name, '--version'], user);
  t.equal(stdout, `${manifest.version}\n`);
});

t.test('the demo runs from it', async (t) => {
  const { stdout } = await execute(join(user, 'node_modules/.bin', manifest.name), ['demo'], user);
  t.notMatch(stdout, 'FAIL');
  t.match(stdout, 'AgentAssertion verified');
});

t.test('a program that imports it compiles, and runs', async (t) => {
  const compilerOptions = {
    ...{ module: 'nodenext', target: 'es2023', strict: true },
    ...{ types: ['node'], typeRoots: [resolve('node_modules/@types')] },
  };
  writeFileSync(join(user, 'program.ts'), PROGRAM);
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  await execute(resolve('node_modules/.bin/tsc'), [], user);
  const { stdout } = await execute(process.execPath, ['program.js'], user);
  t.equal(stdout, '200 {"status":"live"}\n');
});

t.test('nothing else of it can be imported', async (t) => {
  const inside = `import('${manifest.name}/dist/sidecar/server.js')`;
  await t.rejects(execute(process.execPath, ['-e', inside], user), {
    message: /ERR_PACKAGE_PATH_NOT_EXPORTED/,
  });
});

t.test('a second build, elsewhere and later, gives the same tarball', async (t) => {
  const again = t.testdir({ deeper: {} });
  copyProject(join(again, 'deeper'));
  // Other times, and a file of a build before.
  utimesSync(join(again, 'deeper/LICENSE'), 1, 1);
  mkdirSync(join(again, 'deeper/dist'));
  writeFileSync(join(again, 'deeper/dist/removed.js'), '');
  t.equal(digestOf(await pack(join(again, 'deeper'))), digestOf(tarball));
});

/** Names of the files that Node.js reads to load `name`, without what the program imports later. */
function startedWith(name: string, found = new Set<string>()): string[] {
  const path = join(installed, 'dist', name);
  if (found.has(path)) return [...found];
  found.add(path);
  const imports = readFileSync(path, 'utf8').matchAll(
    /^(?:import|\} from) ?[^;]*?"\.\/([^"]+)";/gms,
  );
  for (const [, next = ''] of imports) startedWith(next, found);
  return [...found];
}

function filesOf(place: string): string[] {
  const names = readdirSync(join(place, 'dist'));
  return names.filter((name) => name.endsWith('.js')).map((name) => join(place, 'dist', name));
}

/** The packages of which `files` hold something; esbuild writes down where each part comes from. */
function packagesIn(files: readonly string[]): Set<string> {
  const names = files.flatMap((file) => {
    const parts = readFileSync(file, 'utf8').matchAll(
      /^ *\/\/ node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm,
    );
    return [...parts].map(([, name = '']) => name);
  });
  return new Set(names);
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

const PROGRAM = `
import { ConfigError, type Sidecar, type SidecarConfig, startSidecar } from '${manifest.name}';

const config: SidecarConfig = {
  listen: { port: 0 },
  agentIdentity: { policy: 'chatgptAuth' },
  routes: [{ methods: ['*'], path: '/backend-api/*', auth: 'deny' }],
};
// @ts-expect-error an unknown key
const unknownKey: SidecarConfig = { listen: { prot: 1 } };
// @ts-expect-error an unknown word
const unknownWord: SidecarConfig = { agentIdentity: { policy: 'always' } };
for (const wrong of [unknownKey, unknownWord]) {
  await startSidecar({ config: wrong }).then(
    () => { throw new Error('started'); },
    (error) => { if (!(error instanceof ConfigError)) throw error; },
  );
}
const home = '/nonexistent';
const log = { write: (_line: string) => undefined };
const sidecar: Sidecar = await startSidecar({ config: { ...config, codexHome: home }, log });
const answer = await fetch(sidecar.url + '/livez');
console.log(answer.status, await answer.text());
await sidecar.stop();
`;
