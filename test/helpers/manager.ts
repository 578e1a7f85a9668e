import type { Test } from 'tap';
import type { JsonObject } from '../../src/base/json.ts';
import { Secret } from '../../src/base/secret.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { CredentialManager } from '../../src/credentials/manager.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import { type AuthHome, makeAuthHome } from './auth-home.ts';
import { type Backend, startBackend } from './backend.ts';
import { type CapturedLog, captureLog } from './captured-log.ts';

export interface ManagedCredential extends Backend {
  manager: CredentialManager;
  home: AuthHome;
  captured: CapturedLog;
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
export async function managedCredential(
  t: Test,
  options: ManagerOptions = {},
): Promise<ManagedCredential> {
  const backend = await startBackend(t);
  const home = makeAuthHome(t, options.authJson?.(backend));
  const captured = captureLog();
  const { agentIdentity = {}, apiKey } = options;
  const { emulator } = backend;
  const upstream = { ...emulator.upstream, ...options.upstream?.(emulator) };
  const manager = new CredentialManager({
    config: resolveConfig({ upstream, agentIdentity }),
    store: home.store,
    http: backend.http,
    now: backend.now,
    sleep: async () => undefined,
    log: captured.log,
    version: '0.0.0-test',
    platform: 'linux',
    backendNow: backend.now,
    schedule: () => () => undefined,
    oauthClientId: null,
    environment: async () => ({
      apiKey: apiKey === undefined ? null : new Secret(apiKey),
      accessToken: null,
      agentIdentity: null,
    }),
  });
  return { ...backend, manager, home, captured };
}
