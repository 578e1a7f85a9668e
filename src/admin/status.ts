import type { StoreStatus } from '../auth-store/store.ts';
import type { RouteRule } from '../config/resolve.ts';
import type { Account, BearerStatus, IdentityStatus } from '../credentials/provider.ts';
import type { CredentialSnapshot } from '../credentials/snapshot.ts';
import type { AccountLimit } from '../telemetry/account-limits.ts';
import type { TrafficSnapshot } from '../telemetry/traffic.ts';

export type OverallStatus =
  | 'starting'
  | 'ready'
  | 'degraded'
  | 'unauthenticated'
  | 'failed'
  | 'draining';

/** Body of `GET /auth/status`. No secret, no whole account id, task id or e-mail. */
export interface StatusDocument {
  status: OverallStatus;
  version: string;
  uptimeSeconds: number;
  authMode: CredentialSnapshot['mode'];
  /** The variable or file that the credential comes from. */
  credentialSource: string | null;
  planType: string | null;
  account: { id: string | null; email: string | null; fedramp: boolean } | null;
  usesCodexBackend: boolean;
  agentIdentity: { policy: string } & IdentityStatus;
  bearer: BearerStatus;
  upstream: {
    origin: string;
    lastStatus: number | null;
    lastResponseAt: string | null;
    clockSkewSeconds: number | null;
  };
  /** What the upstream said last of the limits of the account. */
  accountLimits: readonly AccountLimit[];
  listener: {
    protocol: 'http' | 'https';
    /** What a client is shown; null with plain HTTP. */
    certificate: {
      names: string[];
      issuer: string;
      expiresAt: string;
      /** SHA-256 in hex. */
      fingerprint: string;
      /** Why the newest files are not in use, so that an older certificate is; null when they are. */
      problem: string | null;
    } | null;
  };
  /** Where the credential is kept. */
  store: StoreStatus & {
    /** New tokens are in memory only. */
    unwritten: boolean;
  };
  routes: readonly RouteRule[];
  connections: TrafficSnapshot['connections'];
  requests: TrafficSnapshot['requests'];
}

export interface StatusInput {
  version: string;
  uptimeMs: number;
  policy: string;
  draining: boolean;
  upstreamOrigins: { chatgpt: string; openai: string };
  routes: readonly RouteRule[];
  credential: CredentialSnapshot;
  store: StoreStatus;
  traffic: TrafficSnapshot;
  accountLimits: readonly AccountLimit[];
  /** Our clock minus the upstream's, in whole seconds; null before the first response. */
  clockSkewSeconds: number | null;
  /** What the listener shows its clients; null with plain HTTP. */
  certificate: ListenerCertificate | null;
}

interface ListenerCertificate {
  names: readonly { value: string }[];
  issuer: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  fingerprint: string;
  /** Why the newest files are not in use; null when they are. */
  problem: string | null;
}

/** Pure; all that changes is passed in. */
export function buildStatus(input: StatusInput): StatusDocument {
  const { credential, traffic } = input;
  const { connections, requests, lastStatus, lastResponseAt } = traffic;
  const withKey = credential.mode === 'apikey';
  return {
    status: overallStatus(credential, input.store, input.draining),
    version: input.version,
    uptimeSeconds: Math.floor(input.uptimeMs / 1000),
    authMode: credential.mode,
    credentialSource: credential.from,
    planType: credential.account?.planType ?? null,
    account: credential.account ? maskAccount(credential.account) : null,
    usesCodexBackend: credential.mode !== null && !withKey,
    agentIdentity: {
      policy: input.policy,
      ...credential.identity,
      taskId: mask(credential.identity.taskId),
      lastError: credential.identity.lastError ?? credential.error?.message ?? null,
    },
    bearer: credential.bearer,
    upstream: {
      origin: withKey ? input.upstreamOrigins.openai : input.upstreamOrigins.chatgpt,
      lastStatus,
      lastResponseAt,
      clockSkewSeconds: input.clockSkewSeconds,
    },
    accountLimits: input.accountLimits,
    listener: describeListener(input.certificate),
    store: { ...input.store, unwritten: credential.unwritten },
    routes: input.routes,
    connections,
    requests,
  };
}

function describeListener(shown: ListenerCertificate | null): StatusDocument['listener'] {
  if (shown === null) return { protocol: 'http', certificate: null };
  const { names, issuer, expiresAt, fingerprint, problem } = shown;
  const values = names.map(({ value }) => value);
  return {
    protocol: 'https',
    certificate: {
      names: values,
      issuer,
      expiresAt: new Date(expiresAt).toISOString(),
      fingerprint,
      problem,
    },
  };
}

export function overallStatus(
  credential: CredentialSnapshot,
  store: StoreStatus,
  draining: boolean,
): OverallStatus {
  if (draining) return 'draining';
  if (credential.state === 'ready' && isTroubled(store, credential)) return 'degraded';
  return credential.state === 'waiting' ? 'starting' : credential.state;
}

/** Whether the tokens in use may be the last ones. */
function isTroubled(store: StoreStatus, { mode }: CredentialSnapshot): boolean {
  // Other credentials are never written, and need no lock.
  if (store.kind === 'file') return store.lastError !== null && mode === 'chatgpt';
  const { state } = store.refresh;
  return !store.reachable || state === 'uncertain' || state === 'over';
}

/** Whether a request could be authenticated now. */
export function isUsable(status: OverallStatus): boolean {
  return status === 'ready' || status === 'degraded';
}

/** First and last characters only; nothing of what is too short for that. */
export function mask(value: string | null): string | null {
  if (value === null) return null;
  return value.length < 12 ? '…' : `${value.slice(0, 4)}…${value.slice(-4)}`;
}

function maskAccount(account: Account): StatusDocument['account'] {
  return { id: mask(account.id), email: maskEmail(account.email), fedramp: account.fedramp };
}

function maskEmail(email: string | null): string | null {
  if (email === null) return null;
  const [name, domain] = email.split('@');
  return domain ? `${name?.slice(0, 1)}…@${domain}` : '…';
}
