import { setTimeout as sleep } from 'node:timers/promises';
import type { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { createLogger } from '../../src/base/logger.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { RegisteredIdentity } from '../../src/credentials/registered-identity.ts';
import type { CredentialObserver } from '../../src/telemetry/credential-events.ts';
import type { HttpClient } from '../../src/upstream/http-client.ts';

export interface IdentityOptions {
  http: HttpClient;
  authApiBaseUrl: string;
  /** Shortest time between two registrations; 0: none. */
  pauseMs: number;
  observe?: CredentialObserver;
}

/** The registered identity of the login in a store, whose access token never ends. */
export async function openIdentity(
  store: SharedAuthStore,
  { http, authApiBaseUrl, pauseMs, observe }: IdentityOptions,
): Promise<RegisteredIdentity> {
  const document = await store.load();
  if (!document?.tokens) throw new Error('no login');
  const login = readChatGptLogin(document.tokens, document.lastRefresh);
  const session = { login, isExpired: () => false, renew: async () => undefined };
  return new RegisteredIdentity(session, document.identityRecord, {
    store,
    pauseMs,
    observe,
    log: createLogger({ level: 'silent' }),
    version: '0.0.0-test',
    platform: 'linux',
    authApi: { http, baseUrl: authApiBaseUrl, now: Date.now, sleep },
  });
}
