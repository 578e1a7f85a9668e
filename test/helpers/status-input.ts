import type { StatusInput } from '../../src/admin/status.ts';
import { DEFAULT_ROUTES } from '../../src/proxy/routes.ts';

/** What a status is made of: a login with an identity, in good health. */
export function statusInput(change: Partial<StatusInput> = {}): StatusInput {
  return {
    version: '1.2.3',
    uptimeMs: 12_999,
    policy: 'chatgptAuth',
    draining: false,
    upstreamOrigins: { chatgpt: 'https://chatgpt.example', openai: 'https://openai.example' },
    routes: DEFAULT_ROUTES,
    credential: {
      from: 'auth.json',
      state: 'ready',
      mode: 'chatgpt',
      account: { id: 'account-0123456789', email: 'a@b.example', planType: 'pro', fedramp: false },
      identity: {
        state: 'off',
        form: null,
        headers: null,
        source: null,
        agentRuntimeId: null,
        publicKey: null,
        taskId: null,
        taskRegisteredAt: null,
        runtimeInstanceId: null,
        runtimeInstanceRegisteredAt: null,
        lastRejection: null,
        lastError: null,
      },
      bearer: { state: 'valid', expiresAt: null, lastRefreshAt: null, lastError: null },
      unwritten: false,
      error: null,
    },
    store: { kind: 'file', location: '/home/.codex/auth.json', lastError: null },
    traffic: {
      connections: { http: 0, websocket: 0 },
      requests: { assertion: 0, bearer: 0, degraded: 0, denied: 0 },
      lastStatus: null,
      lastResponseAt: null,
    },
    accountLimits: [],
    clockSkewSeconds: null,
    certificate: null,
    ...change,
  };
}
