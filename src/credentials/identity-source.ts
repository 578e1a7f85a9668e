import type { Clock } from '../base/clock.ts';
import type { Config } from '../config/resolve.ts';
import type { AuthHeaders, IdentityStatus } from './provider.ts';

/** What the status shows of an identity; null where its form has no such thing, or not yet. */
export type IdentityFacts = Pick<
  IdentityStatus,
  | 'agentRuntimeId'
  | 'publicKey'
  | 'taskId'
  | 'taskRegisteredAt'
  | 'runtimeInstanceId'
  | 'runtimeInstanceRegisteredAt'
>;

export const NO_FACTS: IdentityFacts = {
  agentRuntimeId: null,
  publicKey: null,
  taskId: null,
  taskRegisteredAt: null,
  runtimeInstanceId: null,
  runtimeInstanceRegisteredAt: null,
};

/** An identity that is established: it signs requests. */
export interface Identity {
  /** Tells it from the one that it replaces: its run task, or its runtime instance. */
  readonly id: string;
  readonly facts: Partial<IdentityFacts>;
  /** Whether {@link headers} would make headers now. */
  isReady(): boolean;
  /**
   * Headers for one request, whose `credential` is this identity.
   * @param backendNow time as the backend sees it
   */
  headers(backendNow: Clock): AuthHeaders | Promise<AuthHeaders>;
}

/** A form of Agent Identity. */
export interface IdentityForm {
  readonly name: Config['agentIdentity']['form'];
  readonly headers: Config['agentIdentity']['headers'];
  /** What a rejected assertion is replaced by, in words. */
  readonly proof: string;
  /** What is said once the backend has ended the identity for good. */
  readonly revoked: string;
}

/** Where an identity comes from, with all that its assertions need. */
export interface IdentitySource {
  readonly form: IdentityForm;
  readonly source: 'jwt' | 'registered';
  /** What is known before {@link establish}. */
  known(): Partial<IdentityFacts>;
  /**
   * The identity, if it takes no network and no lock; null otherwise.
   * @throws SidecarError AUTH_CREDENTIAL_INVALID
   */
  establishNow(): Identity | null;
  /** Verifies or registers what is missing. The caller makes sure that only one call runs. */
  establish(): Promise<Identity>;
  /** Another than the rejected one: the store's, if it holds a newer one, or a new one. */
  renew(rejectedId: string): Promise<Identity>;
}
