import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { installPackages } from './npm-client.ts';

/** A released CLI, for instance `0.169.0`, or `0.171.0 (latest)` where the registry was asked. */
export type CodexVersion = string;

/** The oldest that the project knows, the one before the last, and the last. */
const PINNED: readonly CodexVersion[] = ['0.142.3', '0.169.0', '0.171.0'];

/** The CLIs to run, which `npm run test:codex` chooses. */
export const CODEX_VERSIONS: readonly CodexVersion[] =
  process.env.CODEX_VERSIONS?.split(',') ?? PINNED;

/** Whether the CLI has what came with `since`. */
export function isSince(version: CodexVersion, since: string): boolean {
  return numberOf(version).localeCompare(since, 'en', { numeric: true }) >= 0;
}

function numberOf(version: CodexVersion): string {
  return version.split(' ')[0] ?? version;
}

export interface CodexRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

const LIMIT_MS = 90_000;

/** Path of the CLI, installed on first use. */
export async function installCodex(given: CodexVersion): Promise<string> {
  const version = numberOf(given);
  const folder = await installPackages(join('codex', version), [`@openai/codex@${version}`]);
  return join(folder, 'node_modules/.bin/codex');
}

export interface CodexRunOptions {
  env?: Record<string, string>;
  /** Called with the standard input, which is closed without it and without `onLine`. */
  onStart?: (input: Writable) => void;
  /** Called with each line of standard output. */
  onLine?: (line: string, input: Writable) => void;
}

/**
 * Runs a command line in a home, with nothing of this process's environment but PATH.
 * @param command the CLI, or a program that starts it
 */
export function runCodex(
  home: string,
  [program = '', ...args]: readonly string[],
  { env = {}, onStart, onLine }: CodexRunOptions = {},
): Promise<CodexRun> {
  const child = spawn(program, args, {
    cwd: home,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    env: {
      PATH: process.env.PATH,
      CODEX_HOME: home,
      HOME: home,
      NO_PROXY: '127.0.0.1,localhost',
      ...env,
    },
  });
  const output = { stdout: '', stderr: '' };
  child.stdin.on('error', () => undefined);
  if (!onStart && !onLine) child.stdin.end();
  onStart?.(child.stdin);
  createInterface({ input: child.stdout }).on('line', (line) => {
    output.stdout += `${line}\n`;
    onLine?.(line, child.stdin);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
}

/** A Codex home of its own, with a provider that points at the sidecar. */
export class CodexHome {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(provider: {
    baseUrl: string;
    clientToken: string;
    webSockets: boolean;
    compactAfterTokens?: number;
  }): Promise<CodexHome> {
    const home = new CodexHome(await mkdtemp(join(tmpdir(), 'codex-home-')));
    const { compactAfterTokens: limit } = provider;
    const lines = [
      'model_provider = "sidecar"',
      ...(limit === undefined ? [] : [`model_auto_compact_token_limit = ${limit}`]),
      '[model_providers.sidecar]',
      'name = "OpenAI"',
      `base_url = "${provider.baseUrl}/backend-api/codex"`,
      'wire_api = "responses"',
      'requires_openai_auth = false',
      `supports_websockets = ${provider.webSockets}`,
      `experimental_bearer_token = "${provider.clientToken}"`,
    ];
    await writeFile(join(home.path, 'config.toml'), `${lines.join('\n')}\n`);
    return home;
  }

  /** Replaces the configuration by built-in provider settings, and adds a login of Codex's own. */
  async logIn(baseUrl: string, authJson: object): Promise<void> {
    const lines = [
      `openai_base_url = "${baseUrl}/backend-api/codex"`,
      `chatgpt_base_url = "${baseUrl}/backend-api"`,
    ];
    await writeFile(join(this.path, 'config.toml'), `${lines.join('\n')}\n`);
    await writeFile(join(this.path, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  }

  /** See {@link runCodex}. */
  run(program: string, args: string[], env: Record<string, string> = {}): Promise<CodexRun> {
    return runCodex(this.path, [program, ...args], { env });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
