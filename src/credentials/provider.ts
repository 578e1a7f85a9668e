import type { PlanType } from '../base/plan-type.ts';
import type { Secret } from '../base/secret.ts';
import type { Config } from '../config/resolve.ts';
import type { Rejection } from './rejection.ts';

/**
 * The credential headers of one upstream request. A rejection is compared with the credential that
 * the request really carried, by the identity of the objects.
 */
export interface AuthHeaders {
  readonly kind: 'assertion' | 'bearer';
  readonly authorization: Secret;
  /** `x-openai-agent-assertion`, beside the bearer in `authorization`; null mostly. */
  readonly assertion: Secret | null;
  /** `ChatGPT-Account-ID`; null for an API key. */
  readonly accountId: string | null;
  /** `X-OpenAI-Fedramp: true` or nothing. */
  readonly fedramp: boolean;
  /** What it was made with; sets of one credential are rejected together. */
  readonly credential: object;
}

export interface Account {
  id: string | null;
  email: string | null;
  planType: PlanType | null;
  fedramp: boolean;
}

export type BearerState = 'none' | 'valid' | 'expiring' | 'refreshing' | 'failed';
type IdentityState =
  | 'off'
  | 'registering'
  | 'ready'
  /** The upstream rejected the run task or instance, which stays in use (`onTaskRejected: error`). */
  | 'rejected'
  | 'unavailable'
  | 'revoked';

export interface BearerStatus {
  state: BearerState;
  expiresAt: string | null;
  lastRefreshAt: string | null;
  lastError: string | null;
}

export interface IdentityStatus {
  state: IdentityState;
  form: Config['agentIdentity']['form'] | null;
  /** What an assertion route carries; null without an identity. */
  headers: Config['agentIdentity']['headers'] | null;
  source: 'jwt' | 'registered' | null;
  agentRuntimeId: string | null;
  /** Fingerprint, `SHA256:…`. */
  publicKey: string | null;
  taskId: string | null;
  taskRegisteredAt: string | null;
  runtimeInstanceId: string | null;
  runtimeInstanceRegisteredAt: string | null;
  lastRejection: string | null;
  lastError: string | null;
}

/** Makes the headers of one auth kind. Ready ones come at once, without a promise. */
export interface HeaderProvider<Status> {
  /** @throws SidecarError (or rejects with one) when no headers can be made */
  headers(): AuthHeaders | Promise<AuthHeaders>;
  /** Whether {@link headers} would return headers now. */
  isReady(): boolean;
  /** Verifies or registers ahead of the first request. Never rejects. */
  prepare(): Promise<void>;
  /**
   * The upstream refused `used`, which came from this provider. Many requests may report the same
   * set at once; it is replaced once.
   * @returns whether one more try with new headers makes sense. Never rejects.
   */
  rejected(used: AuthHeaders, rejection: Rejection): Promise<boolean>;
  /** A connection that carried `used` ended the way a rejection ends it. */
  suspectRejected?(used: AuthHeaders): void;
  status(): Status;
  /** Cancels timers; the provider is not used afterwards. */
  dispose(): void;
}

export type BearerProvider = HeaderProvider<BearerStatus>;
