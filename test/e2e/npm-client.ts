import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** Released clients that are run against the sidecar, each with the packages that make it up. */
export const NPM_CLIENTS = {
  openai: ['openai@7.59.0'],
  'vercel-ai': ['ai@7.0.173', '@ai-sdk/openai@4.0.118', 'zod@4.6.7'],
  'openai-agents': ['@openai/agents@0.20.0', 'zod@4.6.7'],
  'codex-sdk': ['@openai/codex-sdk@0.163.0'],
  'codex-acp': ['@agentclientprotocol/codex-acp@2.6.0'],
  pi: ['@mariozechner/pi-coding-agent@0.73.1'],
  // What `opencode-ai` would start here, without its builds for other machines.
  opencode: [`opencode-linux-${process.arch}@1.18.33`],
  continue: ['@continuedev/cli@1.5.47'],
} as const satisfies Record<string, readonly string[]>;

export type NpmClient = keyof typeof NPM_CLIENTS;

/** These bring a Codex along, an optional package of 120 MB, and are run with one that is there. */
const WITH_CODEX: readonly NpmClient[] = ['codex-sdk', 'codex-acp'];

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

const CACHE = '.cache';
const LIMIT_MS = 60_000;
const INSTALL = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];

/**
 * Installs packages on first use, in a folder that git ignores.
 * @param name of the folder; the versions belong into it
 * @returns the folder, which holds `node_modules`
 */
export async function installPackages(
  name: string,
  packages: readonly string[],
  options: readonly string[] = [],
): Promise<string> {
  const folder = resolve(CACHE, name);
  if (existsSync(folder)) return folder;
  // Under its own name only once it is whole, so that nobody takes the half of it.
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  await writeFile(join(draft, 'package.json'), '{"private":true}\n');
  await promisify(execFile)('npm', [...INSTALL, ...options, ...packages], { cwd: draft });
  await mkdir(dirname(folder), { recursive: true });
  await rename(draft, folder).catch(async (error) => {
    await rm(draft, { recursive: true });
    if (!existsSync(folder)) throw error;
  });
  return folder;
}

/** The folder of a client, installed on first use. */
export function installClient(client: NpmClient): Promise<string> {
  const [main] = NPM_CLIENTS[client];
  const options = WITH_CODEX.includes(client) ? ['--omit=optional'] : [];
  return installPackages(join('clients', main.replace('/', '+')), NPM_CLIENTS[client], options);
}

/**
 * Runs an ECMAScript module that may import the packages of a client.
 * @param env its whole environment but PATH and HOME
 */
export async function runWithClient(
  client: NpmClient,
  script: string,
  env: Record<string, string>,
): Promise<Outcome> {
  const cwd = await installClient(client);
  // tap adds hooks to NODE_OPTIONS of every child, which double the time of a start.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '-'];
  const child = spawn('env', command, {
    cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    env: { PATH: process.env.PATH, HOME: cwd, ...env },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.end(script);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
}
