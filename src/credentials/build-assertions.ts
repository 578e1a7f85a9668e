import type { AuthApi } from '../agent-identity/registration.ts';
import { AssertionProvider } from './assertion-provider.ts';
import type { CredentialDeps } from './credential-deps.ts';
import { hasInstance } from './identity-forms.ts';
import type { IdentitySource } from './identity-source.ts';
import { instanceUrl } from './oauth-endpoints.ts';
import { RegisteredIdentity } from './registered-identity.ts';
import { type Actor, RuntimeInstance } from './runtime-instance.ts';

/** A runtime instance exists in memory only, so it is kept while the login is read again. */
export interface KeptInstance {
  instance: {
    provider: AssertionProvider;
    source: RuntimeInstance;
    /** Whose it is, and the settings that it was made with. */
    madeFor: string;
  } | null;
}

/**
 * Assertions of the runtime instance that acts for a login; null where the settings want none.
 * @param owner tells one login from another, whatever tokens it has
 */
export function actingFor(
  actor: Actor,
  owner: string,
  deps: CredentialDeps,
  kept: KeptInstance,
): AssertionProvider | null {
  const { agentIdentity } = deps.config;
  if (!hasInstance(agentIdentity)) return null;
  const madeFor = JSON.stringify([actor.type, owner, agentIdentity]);
  if (kept.instance?.madeFor === madeFor) {
    kept.instance.source.actAs(actor);
    return kept.instance.provider;
  }
  const source = runtimeInstance(actor, deps);
  const provider = assertionsOf(source, deps);
  kept.instance = { provider, source, madeFor };
  return provider;
}

export function assertionsOf(source: IdentitySource, deps: CredentialDeps): AssertionProvider {
  const { onTaskRejected } = deps.config.agentIdentity;
  const pauseMs = registrationPauseMs(deps);
  const { now, monotonicNow, backendNow, log } = deps;
  const timing = { now, monotonicNow, backendNow, pauseMs };
  return new AssertionProvider(source, { ...timing, log, onTaskRejected });
}

export function registeredIdentity(
  session: ConstructorParameters<typeof RegisteredIdentity>[0],
  record: ConstructorParameters<typeof RegisteredIdentity>[1],
  deps: CredentialDeps,
): RegisteredIdentity {
  const { store, log, version, platform, observe } = deps;
  return new RegisteredIdentity(session, record, {
    store,
    log,
    version,
    platform,
    observe,
    authApi: authApi(deps),
    pauseMs: registrationPauseMs(deps),
  });
}

export function authApi(deps: CredentialDeps): AuthApi {
  return { ...registrationDeps(deps), baseUrl: deps.config.upstream.authApiBaseUrl };
}

function runtimeInstance(actor: Actor, deps: CredentialDeps): RuntimeInstance {
  const { config, installationId, version, log, observe } = deps;
  const api = { ...registrationDeps(deps), url: instanceUrl(config.upstream) };
  const { headers } = config.agentIdentity;
  return new RuntimeInstance(actor, { api, headers, installationId, version, log, observe });
}

function registrationDeps({ http, backendNow, sleep }: CredentialDeps) {
  return { http, now: backendNow, sleep };
}

function registrationPauseMs({ config }: CredentialDeps): number {
  return config.agentIdentity.minRegistrationIntervalSeconds * 1000;
}
