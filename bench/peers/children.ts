import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 20_000;
const POLL_MS = 2;

/** A child whose early end is an error with its words. */
export class Child {
  readonly process: ChildProcess;
  #errors = '';

  constructor(program: string, args: string[], options: SpawnOptions = {}) {
    this.process = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.process.once('error', (error) => {
      this.#errors += error.message;
    });
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  /** Polls until `find` finds something. */
  async until<T>(find: () => Promise<T | null> | T | null): Promise<T> {
    const limit = Date.now() + START_LIMIT_MS;
    while (this.process.exitCode === null && this.process.pid !== undefined && Date.now() < limit) {
      const found = await find();
      if (found !== null) return found;
      await sleep(POLL_MS);
    }
    await this.stop();
    throw new Error(`${this.process.spawnfile} did not start: ${this.#errors.trim()}`);
  }

  async stop(): Promise<void> {
    if (this.process.pid === undefined || this.process.exitCode !== null) return;
    if (this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const hard = setTimeout(() => this.process.kill('SIGKILL'), 3000);
    await exit;
    clearTimeout(hard);
  }
}

/** Content of a file that a program writes once it listens; null before that. */
export function readWhole<T>(path: string): T | null {
  if (!existsSync(path)) return null;
  const text = readFileSync(path, 'utf8');
  return text.endsWith('\n') ? (JSON.parse(text) as T) : null;
}

/** Whether something listens on a port. */
export function listensOn(port: number): Promise<true | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(null));
  });
}
