import type { Test } from 'tap';
import type { JsonObject } from '../../src/base/json.ts';
import { Secret } from '../../src/base/secret.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { CredentialManager } from '../../src/credentials/manager.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import { type AuthHome, makeAuthHome } from './auth-home.ts';
import { type Backend, startBackend } from './backend.ts';
import { type CapturedLog, captureLog } from './captured-log.ts';

export interface ManagerWithBackend extends Backend {
  manager: CredentialManager;
  home: AuthHome;
  captured: CapturedLog;
  /** Does what a reload of the configuration does; rejects when the credential cannot be used. */
  reloadWith: (agentIdentity: PartialConfig) => Promise<void>;
}

export interface ManagerOptions {
  /** Content of `auth.json`; none by default. */
  authJson?: (backend: Backend) => JsonObject | string;
  /** Value of CODEX_API_KEY. */
  apiKey?: string;
  agentIdentity?: PartialConfig;
  /** Configuration of the upstream, in place of the emulator's. */
  upstream?: (emulator: Emulator) => PartialConfig;
}

/** A credential manager on an emulated backend, not prepared yet. */
export async function startManagerWithBackend(
  t: Test,
  options: ManagerOptions = {},
): Promise<ManagerWithBackend> {
  const backend = await startBackend(t);
  const home = makeAuthHome(t, options.authJson?.(backend));
  const captured = captureLog();
  const { agentIdentity = {}, apiKey } = options;
  const { emulator } = backend;
  const upstream = { ...emulator.upstream, ...options.upstream?.(emulator) };
  const config = resolveConfig({ upstream, agentIdentity });
  let settings = config.agentIdentity;
  const manager = new CredentialManager({
    upstream: config.upstream,
    agentIdentity: () => settings,
    store: home.store,
    http: backend.http,
    now: backend.now,
    monotonicNow: backend.now,
    sleep: async () => undefined,
    log: captured.log,
    version: '0.0.0-test',
    platform: 'linux',
    installationId: '00000000-0000-4000-8000-000000000000',
    backendNow: backend.now,
    schedule: () => () => undefined,
    oauthClientId: null,
    environment: async () => ({
      apiKey: apiKey === undefined ? null : new Secret(apiKey),
      accessToken: null,
      agentIdentity: null,
      workload: null,
    }),
  });
  const reloadWith = async (change: PartialConfig) => {
    const next = resolveConfig({ agentIdentity: change }).agentIdentity;
    while (!manager.use(await manager.read(), next));
    settings = next;
  };
  return { ...backend, manager, home, captured, reloadWith };
}
