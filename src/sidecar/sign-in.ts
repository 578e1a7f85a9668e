import { setTimeout as sleep } from 'node:timers/promises';
import { isLoopbackHost } from '../base/host.ts';
import { USER_AGENT } from '../base/version.ts';
import type { Config } from '../config/resolve.ts';
import type { CredentialManager } from '../credentials/manager.ts';
import { oauthEndpoints } from '../credentials/oauth-endpoints.ts';
import { SignInAttempts } from '../credentials/sign-in-attempt.ts';
import { createHttpClient } from '../upstream/http-client.ts';
import type { LiveConfig } from './live-config.ts';
import type { ServerDeps } from './server.ts';

/** What the status page signs in with: the same as `login --device-auth`. */
export function createSignIn(
  { upstream }: Config,
  deps: ServerDeps,
  manager: CredentialManager,
  changed: () => void,
): SignInAttempts {
  const { dispatcher, store, environment, log, now, monotonicNow, oauthClientId } = deps;
  const client = {
    ...oauthEndpoints(upstream, null, oauthClientId),
    http: createHttpClient(dispatcher, USER_AGENT),
    now,
    monotonicNow,
    sleep: (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }),
  };
  return new SignInAttempts({ client, store, environment, manager, log, changed });
}

/** Whether the page offers it. Where the access check would refuse it for its address, it does not. */
export function maySignIn(
  live: LiveConfig,
  { draining }: { draining: boolean },
  manager: CredentialManager,
): boolean {
  const { viaSocket, listenHost } = live.adminRules ?? live.rules;
  return !draining && !viaSocket && isLoopbackHost(listenHost) && manager.needsSignIn();
}
