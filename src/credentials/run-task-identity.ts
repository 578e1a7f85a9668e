import { buildAssertion } from '../agent-identity/assertion.ts';
import { type AgentKey, fingerprint } from '../agent-identity/keys.ts';
import { type Clock, wholeSeconds } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import type { Identity, IdentityFacts, IdentityForm } from './identity-source.ts';
import type { AuthHeaders } from './provider.ts';

/** An agent runtime with its one run task. */
export interface RunTask {
  agentRuntimeId: string;
  key: AgentKey;
  accountId: string;
  fedramp: boolean;
  taskId: string;
  /** Milliseconds since the epoch; null when the task was taken over from the store. */
  taskRegisteredAt: number | null;
}

export const RUN_TASK_FORM: IdentityForm = {
  name: 'runTask',
  headers: 'assertionOnly',
  proof: 'run task',
  revoked: 'the agent runtime was deleted at the backend; sign in again',
};

/** The first form of Agent Identity: assertions of an agent runtime for its run task. */
export class RunTaskIdentity implements Identity {
  readonly agentRuntimeId: string;
  readonly taskId: string;
  readonly #task: RunTask;
  readonly #observe: CredentialObserver | undefined;
  #cached: { second: number; headers: AuthHeaders } | null = null;

  /** @param observe called for each assertion that is built, if given */
  constructor(task: RunTask, observe: CredentialObserver | undefined) {
    this.agentRuntimeId = task.agentRuntimeId;
    this.taskId = task.taskId;
    this.#task = task;
    this.#observe = observe;
  }

  get id(): string {
    return this.taskId;
  }

  get facts(): Partial<IdentityFacts> {
    const { agentRuntimeId, key, taskId, taskRegisteredAt } = this.#task;
    return {
      agentRuntimeId,
      publicKey: fingerprint(key.publicKeySsh),
      taskId,
      taskRegisteredAt: taskRegisteredAt === null ? null : wholeSeconds(taskRegisteredAt),
    };
  }

  isReady(): boolean {
    return true;
  }

  // Two assertions of one whole second are the same bytes, so one is made and handed out again.
  headers(backendNow: Clock): AuthHeaders {
    const now = backendNow();
    const second = Math.floor(now / 1000);
    if (this.#cached?.second === second) return this.#cached.headers;
    const { agentRuntimeId, key, taskId, accountId, fedramp } = this.#task;
    const headers: AuthHeaders = {
      kind: 'assertion',
      authorization: new Secret(buildAssertion(agentRuntimeId, key, taskId, now)),
      assertion: null,
      accountId,
      fedramp,
      credential: this,
    };
    this.#observe?.({ type: 'assertionBuilt' });
    this.#cached = { second, headers };
    return headers;
  }
}
