import { type Clock, type MonotonicClock, wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Config } from '../config/resolve.ts';
import {
  describeIdentityFailure,
  type IdentityFailure,
  identityFailure,
  isRevocation,
} from './identity-failure.ts';
import { type Identity, type IdentitySource, NO_FACTS } from './identity-source.ts';
import { pausedError } from './paused-failure.ts';
import type { AuthHeaders, HeaderProvider, IdentityStatus } from './provider.ts';
import type { Rejection } from './rejection.ts';

interface AssertionDeps {
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; assertions are stamped with it. */
  backendNow: Clock;
  log: Logger;
  /** Shortest time between a failed registration, or a renewed identity, and the next one. */
  pauseMs: number;
  onTaskRejected: Config['agentIdentity']['onTaskRejected'];
}

/**
 * Assertions of one identity, whatever its form. The identity is established once. A run task or
 * runtime instance that the upstream rejects is replaced once, or kept and shown as rejected
 * (`onTaskRejected: error`). Establishing and replacing are single flight, with a pause before the
 * next try.
 */
export class AssertionProvider implements HeaderProvider<IdentityStatus> {
  readonly #source: IdentitySource;
  readonly #deps: AssertionDeps;
  #identity: Identity | null;
  #pending: Promise<Identity> | null = null;
  #failure: IdentityFailure | null = null;
  #revoked: SidecarError | null = null;
  #lastRejection: string | null = null;
  /** On the monotonic clock. */
  #renewedAt: number | null = null;
  /** Perhaps rejected; replaced before its next use. */
  #suspect: Identity | null = null;
  /** Rejected, and kept all the same. */
  #rejected: Identity | null = null;

  constructor(source: IdentitySource, deps: AssertionDeps) {
    this.#source = source;
    this.#deps = deps;
    this.#identity = source.establishNow();
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    if (this.#revoked) throw this.#revoked;
    if (this.#pending) return this.#afterPending(this.#pending);
    const identity = this.#identity;
    if (!identity) return this.#establish().then((ready) => this.#headersOf(ready));
    if (this.#suspect === identity) return this.#replaceSuspect(identity);
    return this.#headersOf(identity);
  }

  isReady(): boolean {
    return this.#identity?.isReady() === true && this.#revoked === null;
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
    const identity = this.#identity;
    // A late rejection of an old one: the new one is already there.
    if (!identity || used.credential !== identity) return this.isReady();
    if (this.#deps.onTaskRejected === 'error') return this.#keepRejected(identity);
    return this.#replace(identity);
  }

  suspectRejected(used: AuthHeaders): void {
    const identity = this.#identity;
    if (!identity || used.credential !== identity) return;
    if (this.#deps.onTaskRejected === 'error') {
      this.#noteRejection('websocket_closed_early');
      this.#keepRejected(identity);
    } else {
      this.#suspect = identity;
    }
  }

  status(): IdentityStatus {
    const { source, form } = this.#source;
    return {
      state: this.#state(),
      form: form.name,
      headers: form.headers,
      source,
      ...NO_FACTS,
      ...(this.#identity?.facts ?? this.#source.known()),
      lastRejection: this.#lastRejection,
      lastError: this.#lastError(),
    };
  }

  dispose(): void {}

  #state(): IdentityStatus['state'] {
    if (this.#revoked) return 'revoked';
    if (this.#pending) return 'registering';
    if (this.#identity) return this.#identity === this.#rejected ? 'rejected' : 'ready';
    return this.#failure ? 'unavailable' : 'registering';
  }

  #lastError(): string | null {
    if (this.#revoked) return this.#revoked.message;
    if (this.#failure) return describeIdentityFailure(this.#failure);
    if (this.#state() !== 'rejected') return null;
    const { proof } = this.#source.form;
    return `the upstream rejected the ${proof}, and agentIdentity.onTaskRejected is "error": no new one is registered`;
  }

  #establish(): Promise<Identity> {
    const paused = pausedError(this.#failure, this.#deps.monotonicNow());
    if (paused) return Promise.reject(paused);
    return this.#singleFlight(() => this.#establishLogged());
  }

  async #establishLogged(): Promise<Identity> {
    const { log } = this.#deps;
    const { source } = this.#source;
    try {
      const identity = await this.#source.establish();
      const { agentRuntimeId, runtimeInstanceId } = identity.facts;
      log.info({ source, agentRuntimeId, runtimeInstanceId }, 'the identity is ready');
      return identity;
    } catch (error) {
      log.warn({ err: error, source }, 'no identity could be had');
      throw error;
    }
  }

  #headersOf(identity: Identity): AuthHeaders | Promise<AuthHeaders> {
    return identity.headers(this.#deps.backendNow);
  }

  /** While one is being replaced, nobody sends the old one; if that fails, it is all there is. */
  async #afterPending(pending: Promise<Identity>): Promise<AuthHeaders> {
    const identity = await pending.catch((error: unknown) => {
      if (this.#identity && !this.#revoked) return this.#identity;
      throw error;
    });
    return this.#headersOf(identity);
  }

  #noteRejection(code: string): void {
    this.#lastRejection = `${code} at ${wholeSeconds(this.#deps.now())}`;
  }

  /** @returns false: the rejection is passed on as it came */
  #keepRejected(identity: Identity): false {
    if (this.#rejected !== identity) {
      const rejection = this.#lastRejection;
      const { proof } = this.#source.form;
      this.#deps.log.warn({ rejection }, `${proof} rejected and kept (onTaskRejected: error)`);
    }
    this.#rejected = identity;
    return false;
  }

  async #replace(identity: Identity): Promise<boolean> {
    const { monotonicNow, pauseMs, log } = this.#deps;
    if (!this.#pending && this.#renewedAt !== null && monotonicNow() - this.#renewedAt < pauseMs) {
      return false;
    }
    // The server may have asked for more than the interval.
    if (!this.#pending && pausedError(this.#failure, monotonicNow())) return false;
    try {
      await (this.#pending ?? this.#renew(identity));
      return true;
    } catch (error) {
      log.warn({ err: error }, `a rejected ${this.#source.form.proof} could not be replaced`);
      return false;
    }
  }

  async #replaceSuspect(identity: Identity): Promise<AuthHeaders> {
    this.#suspect = null;
    await this.#replace(identity);
    if (this.#revoked) throw this.#revoked;
    return this.#headersOf(this.#identity ?? identity);
  }

  #renew(identity: Identity): Promise<Identity> {
    this.#renewedAt = this.#deps.monotonicNow();
    const rejection = this.#lastRejection;
    this.#deps.log.info({ rejection }, `replacing the rejected ${this.#source.form.proof}`);
    return this.#singleFlight(() => this.#source.renew(identity.id));
  }

  #singleFlight(work: () => Promise<Identity>): Promise<Identity> {
    this.#pending ??= this.#keepOutcome(work).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #keepOutcome(work: () => Promise<Identity>): Promise<Identity> {
    const { now, monotonicNow, pauseMs } = this.#deps;
    try {
      this.#identity = await work();
      this.#failure = null;
      return this.#identity;
    } catch (error) {
      if (isRevocation(error)) this.#revoke();
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
    this.#revoked = new SidecarError('AUTH_IDENTITY_REVOKED', this.#source.form.revoked);
    this.#deps.log.error(this.#revoked.message);
  }
}
