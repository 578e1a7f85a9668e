import { buildAssertion } from '../agent-identity/assertion.ts';
import { fingerprint } from '../agent-identity/keys.ts';
import { RegistrationError } from '../agent-identity/registration.ts';
import type { Clock } from '../clock.ts';
import { SidecarError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { IdentityOrigin, RunIdentity } from './identity-origin.ts';
import type { AssertionProvider, AuthHeaders, IdentityStatus } from './types.ts';

interface Failure {
  error: SidecarError;
  /** Milliseconds since the epoch; no earlier try. */
  retryAt: number;
}

/** Assertions of one identity: established once, single flight, with a pause after a failure. */
export class AgentIdentityProvider implements AssertionProvider {
  readonly #origin: IdentityOrigin;
  readonly #now: Clock;
  readonly #pauseMs: number;
  #identity: RunIdentity | null;
  #pending: Promise<RunIdentity> | null = null;
  #failure: Failure | null = null;
  #cached: { second: number; headers: AuthHeaders } | null = null;

  /** @param pauseMs shortest time between a failed registration and the next one */
  constructor(origin: IdentityOrigin, now: Clock, pauseMs: number) {
    this.#origin = origin;
    this.#now = now;
    this.#pauseMs = pauseMs;
    this.#identity = origin.establishNow();
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    if (this.#identity) return this.#assertion(this.#identity);
    return this.#establish().then((identity) => this.#assertion(identity));
  }

  isReady(): boolean {
    return this.#identity !== null;
  }

  async prepare(): Promise<void> {
    if (this.#identity) return;
    // The failure is kept and answered to whoever asks for headers.
    await this.#establish().catch(() => undefined);
  }

  status(): IdentityStatus {
    const identity = this.#identity;
    const known = identity
      ? { agentRuntimeId: identity.agentRuntimeId, publicKeySsh: identity.key.publicKeySsh }
      : this.#origin.known();
    return {
      state: identity ? 'ready' : this.#pending ? 'registering' : this.#idleState(),
      source: this.#origin.source,
      agentRuntimeId: known?.agentRuntimeId ?? null,
      publicKey: known ? fingerprint(known.publicKeySsh) : null,
      taskId: identity?.taskId ?? null,
      taskRegisteredAt: isoTime(identity?.taskRegisteredAt ?? null),
      lastRejection: null,
      lastError: this.#failure?.error.message ?? null,
    };
  }

  #idleState(): IdentityStatus['state'] {
    return this.#failure ? 'unavailable' : 'registering';
  }

  #establish(): Promise<RunIdentity> {
    if (this.#pending) return this.#pending;
    const paused = this.#pausedError();
    if (paused) return Promise.reject(paused);
    this.#pending = this.#origin
      .establish()
      .then(
        (identity) => {
          this.#failure = null;
          this.#identity = identity;
          return identity;
        },
        (error: unknown) => {
          this.#failure = { error: asSidecarError(error), retryAt: this.#now() + this.#pauseMs };
          throw this.#pausedError() ?? this.#failure.error;
        },
      )
      .finally(() => {
        this.#pending = null;
      });
    return this.#pending;
  }

  #pausedError(): SidecarError | null {
    if (!this.#failure) return null;
    const { error, retryAt } = this.#failure;
    const waitMs = retryAt - this.#now();
    if (waitMs <= 0) return null;
    const retryAfter = error.statusCode === 503 ? { retryAfterSeconds: waitMs / 1000 } : {};
    return new SidecarError(error.code, error.message, { cause: error.cause, ...retryAfter });
  }

  // Two assertions of one whole second are the same bytes, so one is made and handed out again.
  #assertion(identity: RunIdentity): AuthHeaders {
    const now = this.#now();
    const second = Math.floor(now / 1000);
    if (this.#cached?.second === second) return this.#cached.headers;
    const { agentRuntimeId, key, taskId, accountId, fedramp } = identity;
    const authorization = new Secret(buildAssertion(agentRuntimeId, key, taskId, now));
    const headers: AuthHeaders = { kind: 'assertion', authorization, accountId, fedramp };
    this.#cached = { second, headers };
    return headers;
  }
}

function asSidecarError(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error;
  if (error instanceof RegistrationError) {
    return new SidecarError('AUTH_IDENTITY_UNAVAILABLE', error.message, { cause: error });
  }
  return new SidecarError('AUTH_IDENTITY_UNAVAILABLE', 'the identity cannot be had', {
    cause: error,
  });
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
