import { invalidCredential } from '../base/errors.ts';
import { normalizePlanType } from '../base/plan-type.ts';
import {
  actingFor,
  assertionsOf,
  authApi,
  type KeptInstance,
  registeredIdentity,
} from './build-assertions.ts';
import { ChatGptBearer } from './chatgpt-bearer.ts';
import { type ChatGptLogin, readChatGptLogin } from './chatgpt-login.ts';
import { ChatGptSession } from './chatgpt-session.ts';
import type { Credential } from './credential.ts';
import type { CredentialDeps } from './credential-deps.ts';
import { hasInstance, hasRecord } from './identity-forms.ts';
import { JwtIdentity } from './jwt-identity.ts';
import { oauthEndpoints } from './oauth-endpoints.ts';
import { PersonalAccessToken } from './personal-access-token.ts';
import type { Selection } from './selection.ts';
import { chatGptDigest, recordDigest, selectionDigest } from './selection-digest.ts';
import { StaticBearer } from './static-bearer.ts';
import { WorkloadBearer } from './workload-bearer.ts';

/** What outlives the credential that it was made for. */
export interface Kept extends KeptInstance {
  /** Its tokens may be newer than those in the file. */
  session: ChatGptSession | null;
}

/**
 * Makes the providers of a selected credential.
 * @param kept what was made for the one before, and stays for the same login
 * @throws SidecarError AUTH_CREDENTIAL_INVALID
 */
export function buildCredential(
  selection: Selection,
  deps: CredentialDeps,
  kept: Kept,
): Credential {
  const credential = build(selection, deps, kept);
  if (credential.assertion !== kept.instance?.provider) kept.instance = null;
  return credential;
}

function build(selection: Selection, deps: CredentialDeps, kept: Kept): Credential {
  switch (selection.kind) {
    case 'apikey': {
      const account = { id: null, email: null, planType: null, fedramp: false };
      const bearer = new StaticBearer(selection.key, null, false);
      return { ...constant(selection), mode: 'apikey', account, bearer, assertion: null };
    }
    case 'personalAccessToken':
      return fromPersonalAccessToken(selection, deps, kept);
    case 'identityToken':
      return fromIdentityToken(selection, deps);
    case 'identityRecord':
      return fromIdentityRecord(selection, deps);
    case 'workload':
      return fromWorkload(selection, deps);
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

function fromPersonalAccessToken(
  selection: Selected<'personalAccessToken'>,
  deps: CredentialDeps,
  kept: Kept,
): Credential {
  const { http, monotonicNow, config } = deps;
  const { token, from } = selection;
  const { authApiBaseUrl } = config.upstream;
  const bearer = new PersonalAccessToken(token, { authApiBaseUrl, http, monotonicNow, from });
  const identity = constant(selection);
  const actor = {
    type: 'personal_access_token',
    bearer,
    token: () => token,
    userId: null,
  } as const;
  return {
    ...identity,
    mode: 'personalAccessToken',
    account: bearer.account,
    bearer,
    assertion: actingFor(actor, identity.digest(), deps, kept),
  };
}

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

function fromWorkload(selection: Selected<'workload'>, deps: CredentialDeps): Credential {
  const { upstream, agentIdentity } = deps.config;
  if (hasInstance(agentIdentity)) {
    throw invalidCredential(
      'agentIdentity.form',
      '"runtimeInstance" registers nothing for a workload identity; set "runTask"',
    );
  }
  const { tokenUrl } = oauthEndpoints(upstream, null, null);
  const bearer = new WorkloadBearer(selection.identity, { ...deps, tokenUrl });
  return {
    ...constant(selection),
    mode: 'workloadIdentity',
    account: bearer.account,
    bearer,
    assertion: null,
  };
}

function fromChatGptLogin(
  selection: Selected<'chatgpt'>,
  deps: CredentialDeps,
  kept: Kept,
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
  const source = hasRecord(config.agentIdentity)
    ? registeredIdentity(session, selection.record, deps)
    : null;
  const bearer = new ChatGptBearer(session, { monotonicNow, backendNow, schedule });
  const { account, userId } = session.login;
  const token = () => session.login.accessToken;
  const owner = JSON.stringify([account.id, userId]);
  return {
    from: selection.from,
    digest: () => chatGptDigest(selection.mode, session.stored, source?.stored ?? null),
    mode: selection.mode,
    get account() {
      return session.login.account;
    },
    bearer,
    assertion: source
      ? assertionsOf(source, deps)
      : actingFor({ type: 'oauth', bearer, token, userId }, owner, deps, kept),
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
