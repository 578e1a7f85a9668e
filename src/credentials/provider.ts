import type { PlanType } from '../base/plan-type.ts';
import type { Secret } from '../base/secret.ts';
import type { Rejection } from './rejection.ts';

/**
 * What goes on one upstream request. A provider recognises a set that it handed out by identity,
 * so a rejected request is compared with the credential that it really carried.
 */
export interface AuthHeaders {
  readonly kind: 'assertion' | 'bearer';
  readonly authorization: Secret;
  /** `ChatGPT-Account-ID`; null for an API key. */
  readonly accountId: string | null;
  /** `X-OpenAI-Fedramp: true` or nothing. */
  readonly fedramp: boolean;
}

export interface Account {
  id: string | null;
  email: string | null;
  planType: PlanType | null;
  fedramp: boolean;
}

export type BearerState = 'none' | 'valid' | 'expiring' | 'refreshing' | 'failed';
export type IdentityState =
  | 'off'
  | 'registering'
  | 'ready'
  /** The upstream rejected the run task, which stays in use (`onTaskRejected: error`). */
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
  source: 'jwt' | 'registered' | null;
  agentRuntimeId: string | null;
  /** Fingerprint, `SHA256:…`. */
  publicKey: string | null;
  taskId: string | null;
  taskRegisteredAt: string | null;
  lastRejection: string | null;
  lastError: string | null;
}

/** Makes the headers of one auth kind. Ready ones come at once, without a promise. */
export interface HeaderProvider<Status> {
  /** @throws SidecarError (or rejects with one) when there are none to be had */
  headers(): AuthHeaders | Promise<AuthHeaders>;
  /** Whether {@link headers} would answer now. */
  isReady(): boolean;
  /** Does what can be done before the first request: verify, register. Never rejects. */
  prepare(): Promise<void>;
  /**
   * The upstream refused `used`, which came from this provider. Many may report the same set at
   * once; one of them mends it.
   * @returns whether one more try with new headers makes sense. Never rejects.
   */
  rejected(used: AuthHeaders, rejection: Rejection): Promise<boolean>;
  /** A connection that carried `used` ended the way a rejection ends it. */
  suspectRejected?(used: AuthHeaders): void;
  status(): Status;
  /** Ends timers; the provider is not used afterwards. */
  dispose(): void;
}

export type BearerProvider = HeaderProvider<BearerStatus>;
