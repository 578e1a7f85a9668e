import type { AuthApi } from '../agent-identity/registration.ts';
import type { AuthStore } from '../auth-store/store.ts';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { normalizePlanType } from '../base/plan-type.ts';
import type { Schedule } from '../base/schedule.ts';
import type { Config } from '../config/resolve.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import { AssertionProvider } from './assertion-provider.ts';
import { ChatGptBearer } from './chatgpt-bearer.ts';
import { type ChatGptLogin, type RefreshAhead, readChatGptLogin } from './chatgpt-login.ts';
import { ChatGptSession } from './chatgpt-session.ts';
import type { Credential } from './credential.ts';
import type { IdentitySource } from './identity-source.ts';
import { JwtIdentity } from './jwt-identity.ts';
import { oauthEndpoints } from './oauth-endpoints.ts';
import { PersonalAccessToken } from './personal-access-token.ts';
import { RegisteredIdentity } from './registered-identity.ts';
import type { Selection } from './selection.ts';
import { chatGptDigest, recordDigest, selectionDigest } from './selection-digest.ts';
import { StaticBearer } from './static-bearer.ts';

export interface CredentialDeps {
  config: Pick<Config, 'upstream' | 'agentIdentity'>;
  refreshAhead?: RefreshAhead | undefined;
  store: AuthStore;
  http: HttpClient;
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; stamps assertions and registrations. */
  backendNow: Clock;
  schedule: Schedule;
  sleep: (ms: number) => Promise<void>;
  log: Logger;
  version: string;
  platform: string;
  /** `CODEX_APP_SERVER_LOGIN_CLIENT_ID`; null means Codex's own. */
  oauthClientId: string | null;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

/** Outlives the credential that it was made for: its tokens may be newer than those in the file. */
export interface KeptSession {
  session: ChatGptSession | null;
}

/**
 * Makes the providers of a selected credential.
 * @param kept the session so far, which is kept for the same login
 * @throws SidecarError AUTH_CREDENTIAL_INVALID
 */
export function buildCredential(
  selection: Selection,
  deps: CredentialDeps,
  kept: KeptSession,
): Credential {
  switch (selection.kind) {
    case 'apikey': {
      const account = { id: null, email: null, planType: null, fedramp: false };
      const bearer = new StaticBearer(selection.key, null, false);
      return { ...constant(selection), mode: 'apikey', account, bearer, assertion: null };
    }
    case 'personalAccessToken': {
      const { http, monotonicNow } = deps;
      const { authApiBaseUrl } = deps.config.upstream;
      const { from } = selection;
      const bearer = new PersonalAccessToken(selection.token, {
        authApiBaseUrl,
        http,
        monotonicNow,
        from,
      });
      const { account } = bearer;
      return {
        ...constant(selection),
        mode: 'personalAccessToken',
        account,
        bearer,
        assertion: null,
      };
    }
    case 'identityToken':
      return fromIdentityToken(selection, deps);
    case 'identityRecord':
      return fromIdentityRecord(selection, deps);
    case 'chatgpt':
      return fromChatGptLogin(selection, deps, kept);
  }
}

/** For credentials that never change after they were selected. */
function constant(selection: Selection): Pick<Credential, 'from' | 'digest'> {
  const digest = selectionDigest(selection, false);
  return { from: selection.from, digest: () => digest };
}

type Selected<Kind extends Selection['kind']> = Extract<Selection, { kind: Kind }>;

function fromIdentityToken(selection: Selected<'identityToken'>, deps: CredentialDeps): Credential {
  const { upstream } = deps.config;
  const source = new JwtIdentity(selection.token, {
    http: deps.http,
    now: deps.now,
    observe: deps.observe,
    authApi: authApi(deps),
    jwksBaseUrl: upstream.jwksBaseUrl ?? upstream.chatgptBaseUrl,
  });
  const { accountId, email, planType, fedramp } = source.claims;
  return {
    ...constant(selection),
    mode: 'agentIdentity',
    account: { id: accountId, email, planType, fedramp },
    bearer: null,
    assertion: assertionsOf(source, deps),
  };
}

function fromIdentityRecord(
  selection: Selected<'identityRecord'>,
  deps: CredentialDeps,
): Credential {
  const { record } = selection;
  const source = registeredIdentity(null, record, deps);
  return {
    from: selection.from,
    digest: () => recordDigest(source.stored),
    mode: 'agentIdentity',
    account: {
      id: record.accountId,
      email: record.email,
      planType: normalizePlanType(record.planType),
      fedramp: record.fedramp,
    },
    bearer: null,
    assertion: assertionsOf(source, deps),
  };
}

function fromChatGptLogin(
  selection: Selected<'chatgpt'>,
  deps: CredentialDeps,
  kept: KeptSession,
): Credential {
  const { monotonicNow, backendNow, schedule, config, log } = deps;
  if (selection.recordProblem) {
    log.warn({ err: selection.recordProblem }, 'the stored identity cannot be read');
  }
  const session = kept.session?.holds(selection.tokens)
    ? kept.session
    : chatGptSession(selection, deps);
  if (session !== kept.session) kept.session?.release();
  kept.session = session;
  const source =
    config.agentIdentity.policy === 'chatgptAuth'
      ? registeredIdentity(session, selection.record, deps)
      : null;
  return {
    from: selection.from,
    digest: () => chatGptDigest(selection.mode, session.stored, source?.stored ?? null),
    mode: selection.mode,
    get account() {
      return session.login.account;
    },
    bearer: new ChatGptBearer(session, { monotonicNow, backendNow, schedule }),
    assertion: source ? assertionsOf(source, deps) : null,
  };
}

function chatGptSession(selection: Selected<'chatgpt'>, deps: CredentialDeps): ChatGptSession {
  const { store, now, monotonicNow, backendNow, schedule, log, http, config } = deps;
  const login = readChatGptLogin(selection.tokens, selection.lastRefresh);
  const oauth = (provenance: ChatGptLogin['provenance']) => ({
    ...oauthEndpoints(config.upstream, provenance, deps.oauthClientId),
    http,
  });
  // Where the tokens cannot be refreshed is said now, and not when they have expired.
  oauth(login.provenance);
  return new ChatGptSession(login, {
    store,
    now,
    monotonicNow,
    backendNow,
    schedule,
    log,
    oauth,
    refreshAhead: deps.refreshAhead,
    observe: deps.observe,
  });
}

function registeredIdentity(
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

function registrationPauseMs({ config }: CredentialDeps): number {
  return config.agentIdentity.minRegistrationIntervalSeconds * 1000;
}

function assertionsOf(source: IdentitySource, deps: CredentialDeps): AssertionProvider {
  const { onTaskRejected } = deps.config.agentIdentity;
  const pauseMs = registrationPauseMs(deps);
  const { now, monotonicNow, backendNow, log, observe } = deps;
  return new AssertionProvider(source, {
    now,
    monotonicNow,
    backendNow,
    log,
    pauseMs,
    onTaskRejected,
    observe,
  });
}

function authApi(deps: CredentialDeps): AuthApi {
  const { http, backendNow, sleep } = deps;
  return { baseUrl: deps.config.upstream.authApiBaseUrl, http, now: backendNow, sleep };
}
