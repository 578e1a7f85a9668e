import type { Test } from 'tap';
import { Agent } from 'undici';
import type { AuthApi } from '../../src/agent-identity/registration.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { createHttpClient, type HttpClient } from '../../src/upstream/http-client.ts';

export const AGENT_REGISTRATION = '/api/accounts/v1/agent/register';
export const JWKS = '/backend-api/wham/agent-identities/jwks';

/** The emulated backend with a client, for code that registers and verifies. */
export interface Backend {
  emulator: Emulator;
  http: HttpClient;
  /** Moves the clock that the emulator and the code share. */
  advance(ms: number): void;
  now: () => number;
  authApi: AuthApi;
  agentRegistrations(): number;
  taskRegistrations(): number;
}

export async function startBackend(t: Test): Promise<Backend> {
  let nowMs = Date.parse('2026-11-20T21:30:36.250Z');
  const now = () => nowMs;
  const emulator = await startEmulator({ now });
  const agent = new Agent();
  t.teardown(async () => {
    await agent.destroy();
    await emulator.close();
  });
  const http = createHttpClient(agent, 'codex-auth-sidecar/test');
  const requests = (fits: (path: string) => boolean) =>
    emulator.records.filter(({ path }) => fits(path)).length;
  return {
    emulator,
    http,
    now,
    advance: (ms) => {
      nowMs += ms;
    },
    authApi: { baseUrl: emulator.upstream.authApiBaseUrl, http, now, sleep: async () => undefined },
    agentRegistrations: () => requests((path) => path === AGENT_REGISTRATION),
    taskRegistrations: () => requests((path) => path.endsWith('/task/register')),
  };
}
