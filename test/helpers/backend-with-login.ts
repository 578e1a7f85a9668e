import type { Test } from 'tap';
import type { AuthStore } from '../../src/auth-store/store.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { AssertionProvider } from '../../src/credentials/assertion-provider.ts';
import { type ChatGptLogin, readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { RegisteredIdentity } from '../../src/credentials/registered-identity.ts';
import { type AuthHome, makeAuthHome } from './auth-home.ts';
import { type Backend, startBackend } from './backend.ts';
import { type CapturedLog, captureLog } from './captured-log.ts';

export const PAUSE_MS = 60_000;

/** A ChatGPT login in a file, and a backend that registers identities for it. */
export interface BackendWithLogin extends Backend {
  home: AuthHome;
  captured: CapturedLog;
  /** A start of the program: reads the file and makes a provider of what it says. */
  start(store?: AuthStore): Promise<AssertionProvider>;
  /** The record as it stands in the file. */
  storedRecord(): JsonObject | undefined;
}

/** @param change what the file holds beside, or in place of, the login */
export async function startBackendWithLogin(
  t: Test,
  change: JsonObject = {},
): Promise<BackendWithLogin> {
  const backend = await startBackend(t);
  const { authJson } = backend.emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
  const captured = captureLog();
  const home = makeAuthHome(t, { ...authJson, ...change }, (line, err) =>
    captured.log.warn({ err }, line),
  );
  return {
    ...backend,
    home,
    captured,
    storedRecord: () => home.read().agent_identity as JsonObject | undefined,
    start: async (store = home.store) => {
      const document = await home.store.load();
      if (!document) throw new Error('no auth.json');
      const { tokens, lastRefresh, identityRecord } = document;
      const session = tokens && stillSession(readChatGptLogin(tokens, lastRefresh));
      const source = new RegisteredIdentity(session, identityRecord, {
        store,
        authApi: backend.authApi,
        log: captured.log,
        version: '0.0.0-test',
        platform: 'linux',
        pauseMs: PAUSE_MS,
      });
      const { now } = backend;
      const deps = {
        now,
        monotonicNow: now,
        backendNow: now,
        log: captured.log,
        pauseMs: PAUSE_MS,
        onTaskRejected: 'reregister' as const,
      };
      return new AssertionProvider(source, deps);
    },
  };
}

/** A session whose tokens live as long as the test. */
function stillSession(login: ChatGptLogin) {
  return { login, isExpired: () => false, renew: async () => undefined };
}
