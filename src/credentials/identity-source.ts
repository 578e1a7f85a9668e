import type { AgentKey } from '../agent-identity/keys.ts';

/** An identity with its one run task: all that an assertion needs. */
export interface RunIdentity {
  readonly agentRuntimeId: string;
  readonly key: AgentKey;
  readonly accountId: string;
  readonly fedramp: boolean;
  readonly taskId: string;
  /** Milliseconds since the epoch; null when the task was taken over from the store. */
  readonly taskRegisteredAt: number | null;
}

/** Where an identity and its run task come from. */
export interface IdentitySource {
  readonly source: 'jwt' | 'registered';
  /** What is known before {@link establish}; null when there is no identity yet. */
  known(): { agentRuntimeId: string; publicKeySsh: string } | null;
  /**
   * The identity, if it takes no network and no lock; null otherwise.
   * @throws SidecarError AUTH_CREDENTIAL_INVALID
   */
  establishNow(): RunIdentity | null;
  /** Verifies or registers what is missing. The caller makes sure that only one call runs. */
  establish(): Promise<RunIdentity>;
  /** A run task other than the rejected one: the store's, if it holds a newer one, or a new one. */
  renew(rejectedTaskId: string): Promise<RunIdentity>;
}
