import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { assertNoLeaks, noteEnvironment } from './leak-watch.ts';
import { PROGRAM } from './program-path.ts';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program to its end, with `input` on standard input. */
export async function runProgram(
  args: string[],
  env: Record<string, string>,
  input = '',
): Promise<Outcome> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  child.stdin.on('error', () => undefined).end(input);
  noteEnvironment(env);
  const [code] = await once(child, 'close');
  assertNoLeaks(output);
  return { code, ...output };
}

export interface Served {
  url: string;
  /** The first log line from now on that says `text`. */
  logged(text: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/** `serve` in a process of its own; it ends with the test. */
export async function serveProgram(
  t: Test,
  args: string[],
  env: Record<string, string>,
): Promise<Served> {
  const child = spawn(process.execPath, [PROGRAM, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, ...env },
  });
  const exited = once(child, 'exit');
  noteEnvironment(env);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    assertNoLeaks({ stdout: printed });
  });
  const lines = createInterface({ input: child.stdout });
  const logged = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const receive = (line: string) => {
        if (!line.includes(text)) return;
        lines.off('line', receive);
        resolve(line);
      };
      lines.on('line', receive);
      void exited.then(([code]) => reject(new Error(`serve ended with ${code}`)));
    });
  const { url } = JSON.parse(await logged('"msg":"listening"')) as { url: string };
  return { url, logged, signal: (name) => child.kill(name) };
}
