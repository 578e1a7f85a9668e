import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { assertNoLeaks, noteEnvironment, noteStored } from './leak-watch.ts';
import { PROGRAM } from './program-path.ts';

/** A home that not even root can make, so that no test leaves anything there for the next one. */
const NO_HOME = '/dev/null/home';

/** The part of a tap test that the helpers need. */
export interface TestScope {
  teardown(cleanUp: () => Promise<void>): void;
}

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export type LogLine = Record<string, unknown>;

interface Waiter {
  matches: (line: string) => boolean;
  resolve: (line: string) => void;
  reject: (error: Error) => void;
}

export interface ProgramOptions {
  /** Text on standard input, which ends with it. Without it there is nothing to read. */
  input?: string;
  /** Run it in a terminal of its own: its output, both streams in one, has CR LF. */
  terminal?: boolean;
  /** For Node.js, ahead of the program. */
  nodeFlags?: string[];
}

/** The built program in a process of its own. */
export class Program {
  /** What it has printed so far. */
  stdout = '';
  stderr = '';
  /** Resolves when the process has ended and its output is complete. */
  readonly ended: Promise<Outcome>;
  readonly #child: ChildProcess;
  readonly #output: Readable;
  readonly #lines: string[] = [];
  #waiters: Waiter[] = [];

  constructor(args: string[], env: Record<string, string>, options: ProgramOptions = {}) {
    const { terminal = false, input, nodeFlags = [] } = options;
    // tap adds hooks to NODE_OPTIONS of every child, which double the time of a start.
    const command = ['env', '-u', 'NODE_OPTIONS', process.execPath, ...nodeFlags, PROGRAM];
    command.push(...args);
    const [file = '', ...rest] = terminal ? inTerminal(command) : command;
    const child = spawn(file, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...env },
    });
    this.#child = child;
    this.#output = child.stdout;
    child.stdin.on('error', () => undefined);
    // The input of a terminal stays open, for what is typed later.
    if (!terminal) child.stdin.end(input);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#receive(line));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const { stdout, stderr } = this;
        const ending = new Error(`ended with ${code ?? signal}: ${stdout}${stderr}`);
        for (const waiter of this.#waiters.splice(0)) waiter.reject(ending);
        resolve({ code, signal, stdout, stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal; without waiting for what it leads to. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, and what runs in its terminal, which would take a lost terminal for a reload. */
  destroy(): void {
    for (const pid of childrenOf(this.pid)) process.kill(pid, 'SIGKILL');
    this.#child.kill('SIGKILL');
  }

  /** Types on the keyboard of its terminal. */
  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves with the next output; rejects when there is no more. */
  async output(): Promise<void> {
    const waiting = new AbortController();
    const next = (event: string) => once(this.#output, event, { signal: waiting.signal });
    const [text] = await Promise.race([next('data'), next('end')]);
    waiting.abort();
    if (text === undefined) throw new Error(`ended: ${this.stdout}${this.stderr}`);
  }

  /** The first line on standard output that matches, now or later; rejects when there is none. */
  line(matches: (line: string) => boolean): Promise<string> {
    const known = this.#lines.find(matches);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) reject(new Error(`ended: ${this.stdout}${this.stderr}`));
      else this.#waiters.push({ matches, resolve, reject });
    });
  }

  /** Resolves when standard output holds `text`, in a line that may not have ended yet. */
  async shows(text: string): Promise<void> {
    while (!this.stdout.includes(text)) await this.output();
  }

  /** The first log line with this message, now or later. */
  async logged(message: string): Promise<LogLine> {
    return JSON.parse(await this.line((line) => line.includes(`"msg":${JSON.stringify(message)}`)));
  }

  #receive(line: string): void {
    this.#lines.push(line);
    this.#waiters = this.#waiters.filter(({ matches, resolve }) => {
      if (!matches(line)) return true;
      resolve(line);
      return false;
    });
  }
}

function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** The same command in a pseudo-terminal of 80 columns, with the exit code of the command. */
function inTerminal(command: string[]): string[] {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return [
    'script',
    '--quiet',
    '--return',
    '--command',
    `stty rows 24 cols 80; exec ${quoted}`,
    '/dev/null',
  ];
}

/**
 * Starts the program. It sees nothing of this process's environment but PATH, and is killed with the
 * test; what it printed is searched for secrets then.
 */
export function start(
  t: TestScope,
  args: string[],
  env: Record<string, string> = {},
  options: ProgramOptions = {},
): Program {
  // Without it the program could find a login of whoever runs the tests.
  const program = new Program(args, { HOME: NO_HOME, ...env }, options);
  noteEnvironment(env);
  const noteHome = () => readFile(join(env.CODEX_HOME ?? '', 'auth.json'), 'utf8').then(noteStored);
  const noted = noteHome().catch(() => undefined);
  t.teardown(async () => {
    program.destroy();
    const { stdout, stderr } = await program.ended;
    await noted;
    await noteHome().catch(() => undefined);
    assertNoLeaks({ stdout, stderr });
  });
  return program;
}

/** Runs the program to its end. */
export function run(
  t: TestScope,
  args: string[],
  env: Record<string, string> = {},
  options: ProgramOptions = {},
) {
  return start(t, args, env, options).ended;
}

export interface Serving {
  program: Program;
  /** Origin; empty with a socket. */
  url: string;
}

/** Starts `serve` on a free port and waits until it listens. */
export async function serve(
  t: TestScope,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Serving> {
  const program = start(t, ['serve', '--port', '0', ...args], env);
  const { url } = await program.logged('listening');
  return { program, url: typeof url === 'string' ? url : '' };
}

/** A new folder with a short path (a socket's must be), removed with the test. */
export async function makeFolder(t: TestScope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sidecar-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file into a new folder, text as it is and anything else as JSON. Gives its path. */
export async function makeFile(t: TestScope, name: string, content: unknown): Promise<string> {
  const path = join(await makeFolder(t), name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}
