import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/index.ts';
import { Issued } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { CodexHome, type CodexRun, type CodexVersion, installCodex } from './codex.ts';

/** What Codex asks by itself; the address is for the sidecar. */
const NAMES = ['DNS:chatgpt.com', 'DNS:auth.openai.com', 'DNS:ab.chatgpt.com', 'IP:127.0.0.1'];

/** One turn that leaves nothing behind. */
export const EXEC = ['exec', '--skip-git-repo-check', '--ephemeral', 'hi'];

/** A Codex that is signed in, and takes the emulated backend for OpenAI's. No sidecar is involved. */
export interface CodexAtOpenAi {
  backend: Emulator;
  /** Its `CODEX_HOME`, with a login of `backend`. */
  home: CodexHome;
  /** PEM file with the certificate of `backend`. */
  authority: string;
  /** One turn. @param env more variables */
  exec(env?: Record<string, string>): Promise<CodexRun>;
}

/**
 * @param options.config more lines of its config.toml
 * @param options.change what is different about its auth.json
 */
export async function startCodexAtOpenAi(
  t: Test,
  version: CodexVersion,
  options: {
    config?: string;
    emulator?: EmulatorOptions;
    change?: (authJson: object) => object;
  } = {},
): Promise<CodexAtOpenAi> {
  const { config = '', change = (authJson) => authJson } = options;
  const program = await installCodex(version);
  const { key, cert } = new Issued({ names: NAMES });
  const backend = await startEmulator({ ...options.emulator, https: { key, cert } });
  t.teardown(() => backend.close());
  const { authJson, accountId } = backend.issueLogin();
  routeTo(backend, accountId);
  const port = Number(new URL(backend.url).port);
  const proxy = await startConnectProxy(t, null, undefined, port);
  const home = await CodexHome.create({ baseUrl: '', clientToken: '', webSockets: true });
  t.teardown(() => home.remove());
  const authority = join(home.path, 'authority.pem');
  await writeFile(authority, cert);
  await writeFile(join(home.path, 'config.toml'), `${config}\n[analytics]\nenabled = false\n`);
  const login = JSON.stringify(change(authJson));
  await writeFile(join(home.path, 'auth.json'), login, { mode: 0o600 });
  const own = { HTTPS_PROXY: proxy.url, CODEX_CA_CERTIFICATE: authority };
  const exec = (env = {}) => home.run(program, EXEC, { ...own, ...env });
  return { backend, home, authority, exec };
}

/** A Codex that is signed in asks where the backend of its account is. */
function routeTo(backend: Emulator, accountId: string): void {
  const account = { id: accountId, plan_type: 'pro', structure: 'personal' };
  const routing = {
    workspace_backend_origin: 'https://chatgpt.com',
    account_routing_override: 'us',
  };
  backend.addFault({
    path: '/backend-api/wham/accounts/check',
    times: 0,
    body: { accounts: [{ ...account, ...routing }], default_account_id: accountId },
  });
}
