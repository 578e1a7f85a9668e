import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type EmulatorRecord, startEmulator } from '../../src/emulator/index.ts';
import { makeFolder, run, serve } from '../helpers/program.ts';
import { type CodexVersion, installCodex, runCodex } from './codex.ts';
import { makePlace } from './drift/place.ts';

export const RESPONSES = '/backend-api/codex/responses';
export const EXEC = ['exec', '--skip-git-repo-check', 'hi'];
export const ANSWER = 'Hello from the emulated backend.';
/** Where the backend says that the workspace of the account is: nobody may follow it there. */
export const FOREIGN_ORIGIN = 'https://elsewhere.openai.com';

const PROGRAM = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Why there can be no such internet here; false where there can. */
export const NO_INTERNET =
  spawnSync('unshare', ['-m', 'true']).status === 0
    ? false
    : 'host names cannot be led to a recorder without a mount namespace (unshare -m)';

let internets = 0;

/** An address of loopback that is nobody else's: test files run side by side in one network. */
function nextAddress(): string {
  internets += 1;
  return `127.${100 + internets}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
}

export type AgentScene = Awaited<ReturnType<typeof openAgentScene>>;

/**
 * A sidecar with a login in front of the emulated backend, and a home for an agent. Around the agent
 * there is an internet in which every host name leads to one recorder.
 */
export async function openAgentScene(t: Test, version: CodexVersion) {
  const internet = await makePlace(nextAddress());
  t.teardown(() => internet.close());
  const backend = await startEmulator();
  t.teardown(() => backend.close());
  backend.settings.bearerOnAssertionRoutes = 'refuse';
  backend.settings.workspaceBackendOrigin = FOREIGN_ORIGIN;
  const sidecar = await startSidecar(t, backend);
  const home = await makeFolder(t);
  const codexProgram = await installCodex(version);
  const inside = internet.within;
  return {
    ...sidecar,
    internet,
    backend,
    home,
    codexProgram,
    /** Runs our program in the home of the agent, without Codex. */
    configure: async (args: string[], input: string) => {
      const { code, stderr } = await run(t, args, { CODEX_HOME: home }, { input });
      t.equal(code, 0, stderr);
    },
    /** The command line of Codex within that internet. */
    command: (...args: string[]) => inside(codexProgram, args),
    codex: (args: string[], env: Record<string, string> = {}) =>
      runCodex(home, inside(codexProgram, args), { env: { ...internet.env, ...env } }),
    /** The command line of Codex started by `run`, with a sidecar of its own. */
    commandByRun: (options: string[], args: string[]) => {
      const ours = [
        PROGRAM,
        'run',
        '--log-file',
        join(home, 'run.log'),
        '--config',
        sidecar.configFile,
      ];
      return inside(process.execPath, [...ours, ...options, '--', codexProgram, ...args]);
    },
  };
}

async function startSidecar(t: Test, backend: Awaited<ReturnType<typeof startEmulator>>) {
  const login = backend.issueLogin({ planType: 'plus' });
  const folder = await makeFolder(t);
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const clientToken = randomBytes(24).toString('hex');
  const digest = createHash('sha256').update(clientToken).digest('hex');
  write('auth.json', JSON.stringify(login.authJson));
  const clients = { tokensFile: write('tokens', `agent:${digest} for=codex\n`) };
  const upstream = { ...backend.upstream, proxy: null };
  const agentIdentity = { policy: 'chatgptAuth' };
  const configFile = write('config.json', JSON.stringify({ agentIdentity, upstream, clients }));
  const audit = write('audit.log', '');
  const options = ['--config', configFile];
  const { url } = await serve(t, options, { CODEX_HOME: folder, SIDECAR_LOG_AUDIT: audit });
  return { login, clientToken, configFile, url, refusals: () => refusalsIn(audit) };
}

/** What the sidecar has refused so far. */
function refusalsIn(audit: string): string[] {
  const entries = readFileSync(audit, 'utf8').split('\n').filter(Boolean);
  return entries.flatMap((entry) => {
    const { method, path, code } = JSON.parse(entry);
    return code ? [`${method} ${path}: ${code}`] : [];
  });
}

/** That no host was asked for anything, and no name looked up. */
export function checkSilence(t: Test, { internet }: Pick<AgentScene, 'internet'>): void {
  t.strictSame([...internet.names], [], 'no name was looked up');
  t.strictSame(internet.emulator.records.map(whereTo), [], 'nothing went anywhere else');
}

export const whereTo = ({ method, headers, path }: EmulatorRecord) =>
  `${method} ${headers.host} ${path}`;
