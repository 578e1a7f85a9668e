import { spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { PROGRAM } from './program-path.ts';

/** Programs that would change the machine or ask another one, where a machine has them. */
const ELSEWHERE = ['docker', 'kubectl', 'npx', 'podman', 'systemctl', 'useradd'];

/** What is installed and built already is not done again. */
const NPM = `case "$1 \${2-}" in
  "ci " | "run build") exit 0 ;;
  "run demo") exec codex-auth-sidecar demo ;;
esac`;

/** `doctor` asks for nothing else. */
const CODEX = `if [ "$*" = --version ]; then exec echo codex-cli 0.0.0; fi`;

/** Nobody else is there to be, and no folder of the machine is touched; see rewrite(). */
const SUDO = `if [ "$1" = -u ]; then shift 2; fi
case "$1" in env | install) exec "$@" ;; esac`;

/** Whether a URL answers with success; not every machine has curl. */
const RESPONDS = `const fail = () => process.exit(1);
fetch(process.argv[1]).then(({ ok }) => ok || fail(), fail);`;

/** What is done with a line instead of running it as it stands. */
export interface Treatment {
  /** Why it is not run as it stands. */
  reason: string;
  /** What runs in its place; nothing when absent. */
  instead?: string;
  /** Shell condition that becomes true once a command that runs until it is stopped has started. */
  until?: string;
}

export const LISTENING = 'responds http://127.0.0.1:8787/livez';
const SIDECAR = 'codex-auth-sidecar serve';
const READY = 'responds http://127.0.0.1:8787/readyz';

/** Ends after a minute or two, for nobody may be left who would end it. */
const WAIT_FOR = `wait_for() {
  for _ in {1..600}; do if "$@"; then return; fi; sleep 0.1; done
  echo "in vain: $*" >&2
  return 1
}`;

/** The commands in the shell blocks of a document, each with all its lines. */
export function commandsIn(path: string): string[] {
  const blocks = readFileSync(path, 'utf8').matchAll(
    /^ *```(sh|bash|shell|console)\n([\s\S]*?)^ *```/gm,
  );
  return [...blocks].flatMap(([, language, text = '']) => {
    const lines = text.split('\n').map((line) => line.trim());
    const typed = language === 'console' ? lines.filter((line) => line.startsWith('$ ')) : lines;
    return joinLines(typed.map((line) => line.replace(/^\$ /, '')));
  });
}

/** A line that ends in a backslash, or within quotes, goes on in the next. */
function joinLines(lines: readonly string[]): string[] {
  const commands: string[] = [];
  let begun = '';
  for (const line of lines) {
    if (begun === '' && /^(#|$)/.test(line)) continue;
    begun += line;
    if (begun.endsWith('\\')) begun = begun.slice(0, -1);
    else if (isQuoteOpen(begun)) begun += '\n';
    else {
      commands.push(begun);
      begun = '';
    }
  }
  return commands;
}

function isQuoteOpen(text: string): boolean {
  return /^['"]/.test(text.replaceAll(/\\.|'[^']*'|"(\\.|[^"\\])*"|[^'"]/gs, ''));
}

/** A copy of what the documents speak of, an emulated backend, and a home with a login for it. */
export interface Workplace {
  folder: string;
  /** Runs a document's commands in one shell, in the folder of the document. */
  run(
    document: string,
    treatments: ReadonlyMap<string, Treatment>,
    options: RunOptions,
  ): Promise<ShellOutcome>;
}

interface RunOptions {
  /** Starts a sidecar first, for the commands that ask one. */
  besideSidecar: boolean;
}

export interface ShellOutcome {
  code: number;
  /** The command that failed, or the last one. */
  last: string;
  output: string;
}

export async function makeWorkplace(t: Test): Promise<Workplace> {
  const backend = await startEmulator();
  t.teardown(() => backend.close());
  const root = t.testdir({
    bin: {},
    etc: { systemd: { system: {} } },
    home: { '.codex': {} },
    project: { docs: {} },
    tmp: {},
  });
  const project = join(root, 'project');
  cpSync('deploy', join(project, 'deploy'), { recursive: true });
  const [port, emulatorPort] = await Promise.all([freePort(), freePort()]);
  const settings = JSON.stringify({ upstream: { ...backend.upstream, proxy: null } });
  writeFileSync(join(root, 'config.json'), settings);
  const emulated = settings.replaceAll(backend.url, `http://127.0.0.1:${emulatorPort}`);
  writeFileSync(join(project, 'emulated.json'), emulated);
  writeFileSync(join(root, 'home/.codex/auth.json'), JSON.stringify(backend.issueLogin().authJson));
  const program = `exec env -u NODE_OPTIONS '${process.execPath}' '${PROGRAM}' "$@"`;
  const programs = Object.fromEntries(ELSEWHERE.map((name) => [name, '']));
  Object.assign(programs, { codex: CODEX, npm: NPM, sudo: SUDO, 'codex-auth-sidecar': program });
  programs.responds = `exec env -u NODE_OPTIONS '${process.execPath}' --eval '${RESPONDS}' "$1"`;
  for (const [name, text] of Object.entries(programs)) {
    const refusal = `echo "$0 $* is not run here; list the command" >&2\nexit 1`;
    writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${text}\n${refusal}\n`, { mode: 0o755 });
  }
  const env = {
    PATH: `${join(root, 'bin')}:${process.env.PATH}`,
    HOME: join(root, 'home'),
    SIDECAR_CONFIG: join(root, 'config.json'),
    SIDECAR_PORT: String(port),
  };
  // As the image and the unit set it; whoever types the other commands has none.
  const deployed = { ...env, CODEX_HOME: join(root, 'var/lib/codex-auth-sidecar') };
  return {
    folder: project,
    run: (document, treatments, { besideSidecar }) => {
      const commands = commandsIn(document);
      const all = new Map(treatments);
      if (besideSidecar) {
        commands.unshift(SIDECAR);
        all.set(SIDECAR, { reason: 'runs until it is stopped', until: READY });
      }
      const script = rewrite(scriptOf(commands, all), root)
        .replaceAll(/\b8787\b/g, String(port))
        .replaceAll(/\b9000\b/g, String(emulatorPort));
      const isDeployed = document.startsWith('deploy/');
      return shell(t, script, join(project, dirname(document)), isDeployed ? deployed : env);
    },
  };
}

function scriptOf(commands: readonly string[], treatments: ReadonlyMap<string, Treatment>): string {
  const steps = commands.flatMap((command) => {
    const { instead, until } = treatments.get(command) ?? { instead: command };
    const mark = `last=${quoted(command)}`;
    if (until !== undefined) return [mark, `${instead ?? command} &`, `wait_for ${until}`];
    return instead === undefined ? [] : [mark, instead];
  });
  return [
    'set -euo pipefail',
    WAIT_FOR,
    // What was started in the background ends with the shell.
    `trap 'echo "last: $last"; kill $(jobs -p) 2>&- || :; wait || :' EXIT`,
    'last=none',
    ...steps,
  ].join('\n');
}

/** The same commands, for a machine without the containers, the users and the folders. */
function rewrite(script: string, root: string): string {
  return script
    .replaceAll(/^(docker compose exec( -T)? sidecar|kubectl exec( -i)? \S+ --) /gm, '')
    .replaceAll(/ -[og] [a-z-]+(?= )/g, '')
    .replaceAll('node dist/cli.js', 'codex-auth-sidecar')
    .replaceAll('/opt/codex-auth-sidecar/bin/', '')
    .replaceAll(/(?<=[ =])\/(etc|home|opt|run|srv|tmp|usr|var)\//g, `${root}/$1/`)
    .replaceAll(/^(?=codex-auth-sidecar status)/gm, `wait_for ${READY}; `);
}

/** Whatever it starts is in its process group, which ends with the test. */
export function shell(
  t: Pick<Test, 'teardown'>,
  script: string,
  cwd: string,
  env: Record<string, string>,
): Promise<ShellOutcome> {
  const child = spawn('bash', ['-c', script], { cwd, env, detached: true });
  t.teardown(() => killGroup(child.pid ?? 0));
  child.stdin.end();
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const last = /^last: (.*)$/m.exec(stdout)?.[1] ?? '';
      done({ code: code ?? 1, last, output: stdout + stderr });
    });
  });
}

function killGroup(leader: number): void {
  try {
    if (leader > 0) process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
