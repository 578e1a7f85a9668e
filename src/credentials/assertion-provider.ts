import { buildAssertion } from '../agent-identity/assertion.ts';
import { fingerprint } from '../agent-identity/keys.ts';
import { RegistrationError } from '../agent-identity/registration.ts';
import { type Clock, wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import type { IdentitySource, RunIdentity } from './jwt-identity.ts';
import type { AssertionProvider, AuthHeaders, IdentityStatus } from './provider.ts';
import type { Rejection } from './rejection.ts';

export interface AgentIdentityDeps {
  now: Clock;
  /** Time as the backend sees it; what assertions are stamped with. */
  backendNow: Clock;
  log: Logger;
  /** Shortest time between a failed registration, or a renewed task, and the next one. */
  pauseMs: number;
  /** Who counts what happens; nobody when absent. */
  observe?: CredentialObserver | undefined;
}

interface Failure {
  error: SidecarError;
  /** Milliseconds since the epoch; no earlier try. */
  retryAt: number;
}

/**
 * Assertions of one identity. It is established once; a task that the upstream rejects is replaced
 * once. Each of both is single flight, with a pause before the next try.
 */
export class AgentIdentityProvider implements AssertionProvider {
  readonly #origin: IdentitySource;
  readonly #deps: AgentIdentityDeps;
  readonly #taskOf = new WeakMap<AuthHeaders, string>();
  #identity: RunIdentity | null;
  #pending: Promise<RunIdentity> | null = null;
  #failure: Failure | null = null;
  #cached: { second: number; headers: AuthHeaders } | null = null;
  #revoked: SidecarError | null = null;
  #lastRejection: string | null = null;
  #renewedAt: number | null = null;
  #suspectTaskId: string | null = null;

  constructor(origin: IdentitySource, deps: AgentIdentityDeps) {
    this.#origin = origin;
    this.#deps = deps;
    this.#identity = origin.establishNow();
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

  isUnavailable(): boolean {
    if (this.#identity || this.#revoked) return false;
    return this.#failure?.error.code === 'AUTH_IDENTITY_UNAVAILABLE';
  }

  async prepare(): Promise<void> {
    if (this.#identity || this.#revoked) return;
    // The failure is kept and answered to whoever asks for headers.
    await this.#establish().catch(() => undefined);
  }

  async rejected(used: AuthHeaders, rejection: Rejection): Promise<boolean> {
    this.#lastRejection = `${rejection.code} at ${wholeSeconds(this.#deps.now())}`;
    if (rejection.kind === 'revoked') {
      this.#revoke();
      return false;
    }
    const taskId = this.#taskOf.get(used);
    // Whoever comes late with an old task finds the new one already there.
    if (!this.#identity || taskId !== this.#identity.taskId) return this.isReady();
    return this.#replace(taskId);
  }

  /** A socket was closed as a rejection closes it: the task is looked at before the next use. */
  suspectRejected(used: AuthHeaders): void {
    this.#suspectTaskId = this.#taskOf.get(used) ?? null;
  }

  status(): IdentityStatus {
    const identity = this.#identity;
    const known = identity
      ? { agentRuntimeId: identity.agentRuntimeId, publicKeySsh: identity.key.publicKeySsh }
      : this.#origin.known();
    return {
      state: this.#state(),
      source: this.#origin.source,
      agentRuntimeId: known?.agentRuntimeId ?? null,
      publicKey: known ? fingerprint(known.publicKeySsh) : null,
      taskId: identity?.taskId ?? null,
      taskRegisteredAt:
        identity?.taskRegisteredAt == null ? null : wholeSeconds(identity.taskRegisteredAt),
      lastRejection: this.#lastRejection,
      lastError: this.#describeFailure(),
    };
  }

  dispose(): void {}

  #state(): IdentityStatus['state'] {
    if (this.#revoked) return 'revoked';
    if (this.#pending) return 'registering';
    if (this.#identity) return 'ready';
    return this.#failure ? 'unavailable' : 'registering';
  }

  #establish(): Promise<RunIdentity> {
    const paused = this.#pausedError();
    if (paused) return Promise.reject(paused);
    return this.#singleFlight(() => this.#establishLogged());
  }

  async #establishLogged(): Promise<RunIdentity> {
    const { log } = this.#deps;
    const { source } = this.#origin;
    try {
      const identity = await this.#origin.establish();
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

  async #replace(taskId: string): Promise<boolean> {
    const { now, pauseMs, log } = this.#deps;
    if (!this.#pending && this.#renewedAt !== null && now() - this.#renewedAt < pauseMs) {
      return false;
    }
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
    this.#renewedAt = this.#deps.now();
    this.#deps.log.info({ rejection: this.#lastRejection }, 'replacing the rejected run task');
    return this.#singleFlight(() => this.#origin.renew(taskId));
  }

  #singleFlight(work: () => Promise<RunIdentity>): Promise<RunIdentity> {
    this.#pending ??= this.#keepOutcome(work).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #keepOutcome(work: () => Promise<RunIdentity>): Promise<RunIdentity> {
    try {
      this.#identity = await work();
      this.#failure = null;
      this.#cached = null;
      return this.#identity;
    } catch (error) {
      if (isDeletion(error)) this.#revoke();
      if (this.#revoked) throw this.#revoked;
      const retryAt = this.#deps.now() + this.#deps.pauseMs;
      this.#failure = { error: asSidecarError(error), retryAt };
      throw this.#pausedError() ?? this.#failure.error;
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

  #pausedError(): SidecarError | null {
    if (!this.#failure) return null;
    const { error, retryAt } = this.#failure;
    const waitMs = retryAt - this.#deps.now();
    if (waitMs <= 0) return null;
    const retryAfter = error.statusCode === 503 ? { retryAfterSeconds: waitMs / 1000 } : {};
    return new SidecarError(error.code, error.message, { cause: error.cause, ...retryAfter });
  }

  #describeFailure(): string | null {
    if (this.#revoked) return this.#revoked.message;
    if (!this.#failure) return null;
    const { error, retryAt } = this.#failure;
    return `${error.message} (next try ${wholeSeconds(retryAt)})`;
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

/** Registering a task for a deleted agent fails in the words of an inference request. */
function isDeletion(error: unknown): boolean {
  return (
    error instanceof RegistrationError &&
    error.status === 403 &&
    /agent runtime has been deleted/i.test(error.message)
  );
}

function asSidecarError(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error;
  const message = error instanceof RegistrationError ? error.message : 'the identity cannot be had';
  return new SidecarError('AUTH_IDENTITY_UNAVAILABLE', message, { cause: error });
}
