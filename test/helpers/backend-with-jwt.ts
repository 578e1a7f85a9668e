import type { Test } from 'tap';
import { Secret } from '../../src/base/secret.ts';
import { AssertionProvider } from '../../src/credentials/assertion-provider.ts';
import { JwtIdentity } from '../../src/credentials/jwt-identity.ts';
import type { IdentityTokenOptions } from '../../src/emulator/index.ts';
import { type Backend, startBackend } from './backend.ts';
import { captureLog } from './captured-log.ts';

export interface BackendWithJwt extends Backend {
  /** Issues a token and makes a provider of it. */
  start(options?: IdentityTokenOptions): AssertionProvider;
  jwksRequests(): number;
}

export async function startBackendWithJwt(
  t: Test,
  jwksBasePath = '/backend-api',
): Promise<BackendWithJwt> {
  const backend = await startBackend(t);
  const { emulator, http, now, authApi } = backend;
  return {
    ...backend,
    jwksRequests: () => emulator.records.filter(({ path }) => path.endsWith('/jwks')).length,
    start: (options = {}) => {
      const token = new Secret(emulator.issueIdentityToken(options));
      const jwksBaseUrl = emulator.url + jwksBasePath;
      const source = new JwtIdentity(token, { http, now, authApi, jwksBaseUrl });
      const { log } = captureLog();
      const deps = {
        now,
        monotonicNow: now,
        backendNow: now,
        log,
        pauseMs: 60_000,
        onTaskRejected: 'reregister' as const,
      };
      return new AssertionProvider(source, deps);
    },
  };
}
