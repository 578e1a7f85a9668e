import { buildAssertion } from '../agent-identity/assertion.ts';
import { fingerprint } from '../agent-identity/keys.ts';
import { type Clock, type MonotonicClock, wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import type { Config } from '../config/resolve.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import {
  describeIdentityFailure,
  type IdentityFailure,
  identityFailure,
  isDeletion,
  pausedError,
} from './identity-failure.ts';
import type { IdentitySource, RunIdentity } from './identity-source.ts';
import type { AuthHeaders, HeaderProvider, IdentityStatus } from './provider.ts';
import type { Rejection } from './rejection.ts';

interface AssertionDeps {
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; assertions are stamped with it. */
  backendNow: Clock;
  log: Logger;
  /** Shortest time between a failed registration, or a renewed task, and the next one. */
  pauseMs: number;
  onTaskRejected: Config['agentIdentity']['onTaskRejected'];
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

/**
 * Assertions of one identity. The identity is established once. A run task that the upstream rejects
 * is replaced once, or kept and shown as rejected (`onTaskRejected: error`). Establishing and
 * replacing are single flight, with a pause before the next try.
 */
export class AssertionProvider implements HeaderProvider<IdentityStatus> {
  readonly #source: IdentitySource;
  readonly #deps: AssertionDeps;
  readonly #taskOf = new WeakMap<AuthHeaders, string>();
  #identity: RunIdentity | null;
  #pending: Promise<RunIdentity> | null = null;
  #failure: IdentityFailure | null = null;
  #cached: { second: number; headers: AuthHeaders } | null = null;
  #revoked: SidecarError | null = null;
  #lastRejection: string | null = null;
  /** On the monotonic clock. */
  #renewedAt: number | null = null;
  /** Perhaps rejected; replaced before its next use. */
  #suspectTaskId: string | null = null;
  /** Rejected, and kept all the same. */
  #rejectedTaskId: string | null = null;

  constructor(source: IdentitySource, deps: AssertionDeps) {
    this.#source = source;
    this.#deps = deps;
    this.#identity = source.establishNow();
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    if (this.#revoked) throw this.#revoked;
    if (this.#pending) return this.#afterPending(this.#pending);
    const identity = this.#identity;
    if (!identity) return this.#establish().then((ready) => this.#assertion(ready));
    if (this.#suspectTaskId === identity.taskId) return this.#replaceSuspect(identity);
    return this.#assertion(identity);
  }

  isReady(): boolean {
    return this.#identity !== null && this.#revoked === null;
  }

  /** Whether there is no identity for now, as opposed to an invalid or a revoked one. */
  isUnavailable(): boolean {
    if (this.#identity || this.#revoked) return false;
    return this.#failure?.error.code === 'AUTH_IDENTITY_UNAVAILABLE';
  }

  async prepare(): Promise<void> {
    if (this.#identity || this.#revoked) return;
    // The failure is kept for whoever asks for headers.
    await this.#establish().catch(() => undefined);
  }

  async rejected(used: AuthHeaders, { kind, code }: Rejection): Promise<boolean> {
    this.#noteRejection(code);
    if (kind === 'revoked') {
      this.#revoke();
      return false;
    }
    const taskId = this.#taskOf.get(used);
    // A late rejection of an old task: the new one is already there.
    if (!this.#identity || taskId !== this.#identity.taskId) return this.isReady();
    if (this.#deps.onTaskRejected === 'error') return this.#keepRejected(taskId);
    return this.#replace(taskId);
  }

  suspectRejected(used: AuthHeaders): void {
    const taskId = this.#taskOf.get(used);
    if (taskId === undefined || taskId !== this.#identity?.taskId) return;
    if (this.#deps.onTaskRejected === 'error') {
      this.#noteRejection('websocket_closed_early');
      this.#keepRejected(taskId);
    } else {
      this.#suspectTaskId = taskId;
    }
  }

  status(): IdentityStatus {
    const identity = this.#identity;
    const known = identity
      ? { agentRuntimeId: identity.agentRuntimeId, publicKeySsh: identity.key.publicKeySsh }
      : this.#source.known();
    return {
      state: this.#state(),
      source: this.#source.source,
      agentRuntimeId: known?.agentRuntimeId ?? null,
      publicKey: known ? fingerprint(known.publicKeySsh) : null,
      taskId: identity?.taskId ?? null,
      taskRegisteredAt:
        identity?.taskRegisteredAt == null ? null : wholeSeconds(identity.taskRegisteredAt),
      lastRejection: this.#lastRejection,
      lastError: this.#lastError(),
    };
  }

  dispose(): void {}

  #state(): IdentityStatus['state'] {
    if (this.#revoked) return 'revoked';
    if (this.#pending) return 'registering';
    if (this.#identity) {
      return this.#identity.taskId === this.#rejectedTaskId ? 'rejected' : 'ready';
    }
    return this.#failure ? 'unavailable' : 'registering';
  }

  #lastError(): string | null {
    if (this.#revoked) return this.#revoked.message;
    if (this.#failure) return describeIdentityFailure(this.#failure);
    if (this.#state() !== 'rejected') return null;
    return 'the upstream rejected the run task, and agentIdentity.onTaskRejected is "error": no new one is registered';
  }

  #establish(): Promise<RunIdentity> {
    const paused = pausedError(this.#failure, this.#deps.monotonicNow());
    if (paused) return Promise.reject(paused);
    return this.#singleFlight(() => this.#establishLogged());
  }

  async #establishLogged(): Promise<RunIdentity> {
    const { log } = this.#deps;
    const { source } = this.#source;
    try {
      const identity = await this.#source.establish();
      log.info({ source, agentRuntimeId: identity.agentRuntimeId }, 'the identity is ready');
      return identity;
    } catch (error) {
      log.warn({ err: error, source }, 'no identity could be had');
      throw error;
    }
  }

  /** While a task is being replaced, nobody sends the old one; if that fails, it is all there is. */
  async #afterPending(pending: Promise<RunIdentity>): Promise<AuthHeaders> {
    try {
      return this.#assertion(await pending);
    } catch (error) {
      if (this.#identity && !this.#revoked) return this.#assertion(this.#identity);
      throw error;
    }
  }

  #noteRejection(code: string): void {
    this.#lastRejection = `${code} at ${wholeSeconds(this.#deps.now())}`;
  }

  /** @returns false: the rejection is passed on as it came */
  #keepRejected(taskId: string): false {
    if (this.#rejectedTaskId !== taskId) {
      const rejection = this.#lastRejection;
      this.#deps.log.warn({ rejection }, 'run task rejected and kept (onTaskRejected: error)');
    }
    this.#rejectedTaskId = taskId;
    return false;
  }

  async #replace(taskId: string): Promise<boolean> {
    const { monotonicNow, pauseMs, log } = this.#deps;
    if (!this.#pending && this.#renewedAt !== null && monotonicNow() - this.#renewedAt < pauseMs) {
      return false;
    }
    // The server may have asked for more than the interval.
    if (!this.#pending && pausedError(this.#failure, monotonicNow())) return false;
    try {
      await (this.#pending ?? this.#renew(taskId));
      return true;
    } catch (error) {
      log.warn({ err: error }, 'a rejected run task could not be replaced');
      return false;
    }
  }

  async #replaceSuspect(identity: RunIdentity): Promise<AuthHeaders> {
    this.#suspectTaskId = null;
    await this.#replace(identity.taskId);
    return this.#assertion(this.#identity ?? identity);
  }

  #renew(taskId: string): Promise<RunIdentity> {
    this.#renewedAt = this.#deps.monotonicNow();
    this.#deps.log.info({ rejection: this.#lastRejection }, 'replacing the rejected run task');
    return this.#singleFlight(() => this.#source.renew(taskId));
  }

  #singleFlight(work: () => Promise<RunIdentity>): Promise<RunIdentity> {
    this.#pending ??= this.#keepOutcome(work).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #keepOutcome(work: () => Promise<RunIdentity>): Promise<RunIdentity> {
    const { now, monotonicNow, pauseMs } = this.#deps;
    try {
      this.#identity = await work();
      this.#failure = null;
      this.#cached = null;
      return this.#identity;
    } catch (error) {
      if (isDeletion(error)) this.#revoke();
      if (this.#revoked) throw this.#revoked;
      this.#failure = identityFailure(error, {
        now: now(),
        monotonicNow: monotonicNow(),
        pauseMs,
        before: this.#failure,
      });
      throw pausedError(this.#failure, monotonicNow()) ?? this.#failure.error;
    }
  }

  #revoke(): void {
    if (this.#revoked) return;
    this.#revoked = new SidecarError(
      'AUTH_IDENTITY_REVOKED',
      'the agent runtime was deleted at the backend; sign in again',
    );
    this.#deps.log.error(this.#revoked.message);
  }

  // Two assertions of one whole second are the same bytes, so one is made and handed out again.
  #assertion(identity: RunIdentity): AuthHeaders {
    const now = this.#deps.backendNow();
    const second = Math.floor(now / 1000);
    if (this.#cached?.second === second) return this.#cached.headers;
    const { agentRuntimeId, key, taskId, accountId, fedramp } = identity;
    const authorization = new Secret(buildAssertion(agentRuntimeId, key, taskId, now));
    const headers: AuthHeaders = { kind: 'assertion', authorization, accountId, fedramp };
    this.#taskOf.set(headers, taskId);
    this.#deps.observe?.({ type: 'assertionBuilt' });
    this.#cached = { second, headers };
    return headers;
  }
}
