import type { AuthApi } from '../agent-identity/registration.ts';
import type { AuthStore } from '../auth-store/file-store.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { invalidCredential } from '../errors.ts';
import type { HttpClient } from '../http-client.ts';
import type { Logger } from '../logger.ts';
import { normalizePlanType } from '../plan-type.ts';
import { AgentIdentityProvider } from './agent-identity-provider.ts';
import { ChatGptBearer } from './chatgpt-bearer.ts';
import { readChatGptLogin } from './chatgpt-login.ts';
import { type IdentityOrigin, IdentityTokenOrigin } from './identity-origin.ts';
import { RegisteredOrigin } from './registered-origin.ts';
import type { Selection } from './select.ts';
import { StaticBearer } from './static-bearer.ts';
import type { Credential } from './types.ts';

export interface CredentialDeps {
  config: Config;
  store: AuthStore;
  http: HttpClient;
  now: Clock;
  sleep: (ms: number) => Promise<void>;
  log: Logger;
  version: string;
  platform: string;
}

/**
 * Makes the providers of a selected credential.
 * @throws SidecarError AUTH_CREDENTIAL_INVALID
 */
export function buildCredential(selection: Selection, deps: CredentialDeps): Credential {
  switch (selection.kind) {
    case 'apikey': {
      const account = { id: null, email: null, planType: null, fedramp: false };
      const bearer = new StaticBearer(selection.key, null, false);
      return { mode: 'apikey', account, bearer, assertion: null };
    }
    case 'personalAccessToken':
      throw invalidCredential(
        selection.from,
        'holds a personal access token (at-…), which this version cannot use yet',
      );
    case 'identityToken':
      return fromIdentityToken(selection, deps);
    case 'identityRecord':
      return fromIdentityRecord(selection, deps);
    case 'chatgpt':
      return fromChatGptLogin(selection, deps);
  }
}

type Selected<Kind extends Selection['kind']> = Extract<Selection, { kind: Kind }>;

function fromIdentityToken(selection: Selected<'identityToken'>, deps: CredentialDeps): Credential {
  const { upstream } = deps.config;
  const origin = new IdentityTokenOrigin(selection.token, {
    http: deps.http,
    now: deps.now,
    authApi: authApi(deps),
    jwksBaseUrl: upstream.jwksBaseUrl ?? upstream.chatgptBaseUrl,
  });
  const { accountId, email, planType, fedramp } = origin.claims;
  return {
    mode: 'agentIdentity',
    account: { id: accountId, email, planType, fedramp },
    bearer: null,
    assertion: provider(origin, deps),
  };
}

function fromIdentityRecord(
  selection: Selected<'identityRecord'>,
  deps: CredentialDeps,
): Credential {
  const { record } = selection;
  return {
    mode: 'agentIdentity',
    account: {
      id: record.accountId,
      email: record.email,
      planType: normalizePlanType(record.planType),
      fedramp: record.fedramp,
    },
    bearer: null,
    assertion: provider(registeredOrigin(null, selection.record, deps), deps),
  };
}

function fromChatGptLogin(selection: Selected<'chatgpt'>, deps: CredentialDeps): Credential {
  const login = readChatGptLogin(selection.tokens, selection.lastRefresh);
  const withIdentity = deps.config.agentIdentity.policy === 'chatgptAuth';
  return {
    mode: selection.mode,
    account: login.account,
    bearer: new ChatGptBearer(login, deps.now),
    assertion: withIdentity
      ? provider(registeredOrigin(login, selection.record, deps), deps)
      : null,
  };
}

function registeredOrigin(
  login: ConstructorParameters<typeof RegisteredOrigin>[0],
  record: ConstructorParameters<typeof RegisteredOrigin>[1],
  deps: CredentialDeps,
): RegisteredOrigin {
  const { store, log, version, platform } = deps;
  return new RegisteredOrigin(login, record, {
    store,
    log,
    version,
    platform,
    authApi: authApi(deps),
  });
}

function provider(origin: IdentityOrigin, deps: CredentialDeps): AgentIdentityProvider {
  const pauseMs = deps.config.agentIdentity.minRegistrationIntervalSeconds * 1000;
  return new AgentIdentityProvider(origin, deps.now, pauseMs);
}

function authApi(deps: CredentialDeps): AuthApi {
  const { http, now, sleep } = deps;
  return { baseUrl: deps.config.upstream.authApiBaseUrl, http, now, sleep };
}
