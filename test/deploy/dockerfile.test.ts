import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { resolveConfig } from '../../src/config/resolve.ts';
import { flagsOf, read, variablesRead } from '../helpers/deployed.ts';
import { readDockerfile, readImage } from '../helpers/dockerfile.ts';

const instructions = readDockerfile('Dockerfile');
const image = readImage('Dockerfile');
const manifest = JSON.parse(read('package.json'));

t.test('the entrypoint is the command, and serves by default', async (t) => {
  t.strictSame(image.entrypoint, Object.keys(manifest.bin));
  t.strictSame(image.command, ['serve']);
  await flagsOf(t, 'serve');
});

t.test('the health check is the command for it', async (t) => {
  t.strictSame(image.healthcheck, [...image.entrypoint, 'healthcheck']);
  await flagsOf(t, 'healthcheck');
});

t.test('the user is a number, so that a cluster can see that it is not root', async (t) => {
  t.match(image.user, /^[1-9]\d*:[1-9]\d*$/);
});

t.test('the port is the one that the sidecar listens on', async (t) => {
  t.equal(image.port, resolveConfig({}).listen.port);
});

t.test('every variable is one that the program reads, or belongs to Node.js', async (t) => {
  const known = (await variablesRead()).add('NODE_ENV');
  for (const name of Object.keys(image.env)) t.ok(known.has(name), name);
});

t.test('the folder of the login is there, and belongs to the user', async (t) => {
  const [user, group] = image.user.split(':');
  const folder = image.env.CODEX_HOME;
  t.ok(image.runs.includes(`install -d -o ${user} -g ${group} -m 0700 ${folder}`));
});

t.test('what is copied from the project is let into the build', async (t) => {
  const allowed = read('.dockerignore').match(/(?<=^!).*$/gm) ?? [];
  const copied = instructions.flatMap(({ name, value }) =>
    name === 'COPY' && !value.startsWith('--from') ? value.split(' ').slice(0, -1) : [],
  );
  t.strictSame(copied.sort(), allowed.sort());
});

t.test('Node.js is one that the package runs on', async (t) => {
  const [, minimum] = /^>=(\d+)/.exec(manifest.engines.node) ?? [];
  const bases = instructions.filter(({ name }) => name === 'FROM').map(({ value }) => value);
  for (const base of bases) t.ok(Number(/node:(\d+)/.exec(base)?.[1]) >= Number(minimum), base);
});

// The script that the entrypoint names is written by a RUN line, so that line is run here with a
// stand-in for Node.js.
for (const [version, expected] of [
  ['new', '--disable-sigusr1 /app/dist/cli.js healthcheck --port 1'],
  ['old', '/app/dist/cli.js healthcheck --port 1'],
]) {
  t.test(`the command in the image, with a Node.js that is ${version}`, async (t) => {
    const folder = t.testdir({ bin: {} });
    const script = join(folder, 'codex-auth-sidecar');
    const knows = version === 'new' ? 0 : 9;
    const node = `#!/bin/sh\n[ "$2" != -e ] || exit ${knows}\necho "$@; core $(ulimit -c)"\n`;
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'bin/node'), node, { mode: 0o755 });
    const line = image.runs.find((run) => run.includes('cli.js')) ?? '';
    const env = { PATH: `${folder}/bin:${process.env.PATH}` };
    execFileSync('sh', ['-c', line.replaceAll(/\/usr\/local\/bin/g, folder)], { env });
    t.match(readFileSync(script, 'utf8'), /^#!\/bin\/sh\nulimit -c 0\n/);
    const output = execFileSync(script, ['healthcheck', '--port', '1'], { env, encoding: 'utf8' });
    t.equal(output, `${expected}; core 0\n`);
  });
}

t.test('an image without flock is not built', async (t) => {
  const line = image.runs.find((run) => run.includes('cli.js')) ?? '';
  const build = (programs: string[]) => {
    const folder = t.testdir({});
    for (const name of programs) {
      writeFileSync(join(folder, name), '#!/bin/sh\n', { mode: 0o755 });
    }
    execFileSync('/bin/sh', ['-c', line.replaceAll(/\/usr\/local\/bin/g, folder)], {
      env: { PATH: folder },
      stdio: 'pipe',
    });
  };
  t.throws(() => build(['node', 'chmod']));
  t.doesNotThrow(() => build(['node', 'chmod', 'flock']));
});

// hadolint is not to be had from npm or Debian. These are those of its rules that have something to
// look at here.
for (const path of ['Dockerfile', 'deploy/agent/Dockerfile']) {
  t.test(`${path} keeps the rules of hadolint`, async (t) => {
    const lines = readDockerfile(path);
    const of = (name: string) => lines.filter((line) => line.name === name);
    for (const { value } of of('FROM')) t.match(value, /^\S+:(?!latest)\S+/, 'DL3006, DL3007');
    for (const name of ['ADD', 'MAINTAINER']) t.strictSame(of(name), [], 'DL3020, DL4000');
    for (const { value } of [...of('CMD'), ...of('ENTRYPOINT')]) t.match(value, /^\[/, 'DL3025');
    for (const name of ['CMD', 'ENTRYPOINT', 'HEALTHCHECK']) t.ok(of(name).length <= 1, 'DL4003');
    t.match(of('USER').at(-1)?.value, /^[1-9]/, 'DL3002');
    for (const { value } of of('WORKDIR')) t.match(value, /^\//, 'DL3000');
    const pairs = lines.slice(1).map((line, index) => [lines[index]?.name, line.name].join(' '));
    t.notOk(pairs.includes('RUN RUN'), 'DL3059');
    for (const { value } of of('RUN')) checkCommand(t, value);
  });
}

function checkCommand(t: Test, command: string): void {
  t.notMatch(command, /(?<!\|)\|(?!\|)/, 'DL4006: no pipe, whose first part could fail unseen');
  t.notMatch(command, /\b(?:sudo|cd) /, 'DL3004, DL3003');
  for (const [install] of command.matchAll(/apt-get install[^&]*/g)) {
    t.match(install, /-y .*--no-install-recommends|--no-install-recommends.* -y/, 'DL3014, DL3015');
    t.match(command, 'rm -rf /var/lib/apt/lists/*', 'DL3009');
  }
  for (const [install] of command.matchAll(/npm install[^&]*/g)) {
    t.match(install, /@(?:\$\{?\w+|\d)/, 'DL3016');
  }
}
