import { SidecarError } from '../base/errors.ts';
import type { RouteAuth } from '../config/resolve.ts';
import type { AssertionProvider } from './assertion-provider.ts';
import type { Credential } from './credential.ts';
import {
  type AgentIdentitySettings,
  type CredentialRead,
  type LoadDeps,
  LoadedCredential,
} from './loaded-credential.ts';
import { type Decision, decide } from './policy.ts';
import type { AuthHeaders, BearerProvider } from './provider.ts';
import type { Rejection } from './rejection.ts';
import { type CredentialSnapshot, describeCredential } from './snapshot.ts';

/** A request's way upstream: which upstream, and which headers, if any. */
export interface Authorization {
  upstream: Decision['upstream'];
  headers: AuthHeaders | null;
  /** Who made the headers; null when there are none. */
  provider: BearerProvider | AssertionProvider | null;
  /** The bearer in place of an assertion that cannot be had (`onUnavailable: bearer`). */
  degraded: boolean;
}

/** A request that waits for its headers. */
interface Wanted {
  auth: RouteAuth;
  modelRoute: boolean;
  credential: Credential;
  inject: Decision['inject'];
}

/** Failures that a new credential at the source ends. */
const FIXED_AT_SOURCE = new Set(['AUTH_CREDENTIAL_INVALID', 'AUTH_IDENTITY_REVOKED']);
/** An upstream that refuses everything must not lead to a read for each request. */
const READ_AGAIN_PAUSE_MS = 10_000;

/** Holds the current credential and answers what a request of a route kind carries upstream. */
export class CredentialManager {
  readonly #deps: LoadDeps;
  readonly #loaded: LoadedCredential;
  /** The credential for which the fallback is on and was logged. */
  #degraded: Credential | null = null;
  /** Credentials whose refusal was logged. */
  readonly #refused = new WeakSet<object>();
  /** When a refusal last led to a load, on the monotonic clock. */
  #readAgainAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LoadDeps) {
    this.#deps = deps;
    this.#loaded = new LoadedCredential(deps);
  }

  /**
   * Loads the credential if there is none, and prepares its identity. Called at start and by every
   * health probe, so that a failed start mends itself without traffic. Never rejects.
   */
  async prepare(): Promise<void> {
    await this.load();
    await this.#loaded.current?.bearer?.prepare();
    await this.#loaded.current?.assertion?.prepare();
  }

  /** Loads the credential if there is none; without its identity. Never rejects. */
  async load(): Promise<void> {
    if (!this.#loaded.current) await this.#loaded.load();
  }

  /**
   * The headers for one request. Answers at once when everything is at hand.
   * @throws SidecarError, or rejects with one
   */
  authorize(auth: RouteAuth, modelRoute: boolean): Authorization | Promise<Authorization> {
    const credential = this.#loaded.current;
    if (!credential) return this.#loadAndAuthorize(auth, modelRoute);
    const { inject, upstream } = decide(auth, modelRoute, abilities(credential));
    if (inject === 'none') return { upstream, headers: null, provider: null, degraded: false };
    const provider = inject === 'assertion' ? credential.assertion : credential.bearer;
    if (!provider) throw new SidecarError('SIDECAR_INTERNAL', `no provider for ${inject}`);
    const headers = headersOf(provider);
    const authorized = (ready: AuthHeaders): Authorization => {
      if (inject === 'assertion') this.#degraded = null;
      return { upstream, headers: ready, provider, degraded: false };
    };
    if (!(headers instanceof Promise)) return authorized(headers);
    return headers.then(authorized, (error: unknown) =>
      this.#otherwise({ auth, modelRoute, credential, inject }, error),
    );
  }

  /** What can be done without the headers that were wanted. */
  async #otherwise(wanted: Wanted, error: unknown): Promise<Authorization> {
    const { auth, modelRoute, credential, inject } = wanted;
    if (error instanceof SidecarError && FIXED_AT_SOURCE.has(error.code)) {
      await this.#readSourceAgain();
      const { current } = this.#loaded;
      if (current && current !== credential) return this.authorize(auth, modelRoute);
    }
    return this.#fallback(credential, inject, error);
  }

  /**
   * The upstream refused what `authorization` carried. Never rejects.
   * @returns whether one more try makes sense; it needs a new authorization
   */
  async rejected(authorization: Authorization, rejection: Rejection): Promise<boolean> {
    const { provider, headers } = authorization;
    if (!provider || !headers) return false;
    this.#deps.observe?.({ type: 'rejection', kind: rejection.kind });
    const credential = this.#loaded.current;
    // Replaced in the meantime, e.g. by a new login in the file.
    if (provider !== credential?.bearer && provider !== credential?.assertion) {
      return credential !== null;
    }
    // Many requests carry the same credential, and may all be refused at once.
    const { kind, credential: refused } = headers;
    if (!this.#refused.has(refused)) {
      this.#refused.add(refused);
      this.#deps.log.warn({ kind, code: rejection.code }, 'the upstream refused the credential');
    }
    if (await provider.rejected(headers, rejection)) return true;
    await this.#readSourceAgain();
    const { current } = this.#loaded;
    return current !== null && current !== credential;
  }

  /** Writes down what could not be written when it came; called at a reload. Never rejects. */
  async persist(): Promise<void> {
    await this.#loaded.session?.persist();
  }

  /** Waits for a refresh that is under way, and persists; called before exit. Never rejects. */
  async settle(): Promise<void> {
    await this.#loaded.session?.settle();
  }

  /** A WebSocket that carried `authorization` was closed the way a rejection closes it. */
  suspectRejected({ provider, headers }: Authorization): void {
    if (headers && provider === this.#loaded.current?.assertion)
      provider?.suspectRejected?.(headers);
  }

  /**
   * Reads the credential again and uses it. What is unusable leaves the old credential in place;
   * what is gone takes it away. Never rejects.
   * @returns why the old credential stays; null when the stored one is in use
   */
  async reload(): Promise<SidecarError | null> {
    const failure = await this.#loaded.loadAnew();
    await this.persist();
    await this.prepare();
    return failure;
  }

  /** See {@link LoadedCredential.read}. */
  read(): Promise<CredentialRead> {
    return this.#loaded.read();
  }

  /** See {@link LoadedCredential.use}. */
  use(read: CredentialRead, agentIdentity: AgentIdentitySettings): boolean {
    return this.#loaded.use(read, agentIdentity);
  }

  /** Ends all timers; a load that is under way changes nothing any more. */
  dispose(): void {
    this.#loaded.dispose();
  }

  /** Whether a person should sign in: there is no credential, or its login is over for good. */
  needsSignIn(): boolean {
    const { current, failure, session } = this.#loaded;
    if (!current) return failure?.code === 'AUTH_NOT_CONFIGURED';
    return current.mode === 'chatgpt' && session !== null && session.isOver();
  }

  snapshot(): CredentialSnapshot {
    const { current, failure, session } = this.#loaded;
    const unwritten = session?.isUnwritten ?? false;
    return describeCredential(current, failure, this.#mayDegrade(), unwritten);
  }

  async #loadAndAuthorize(auth: RouteAuth, modelRoute: boolean): Promise<Authorization> {
    if (auth === 'none' || auth === 'deny') {
      const nobody = { mode: 'chatgpt', bearer: false, assertion: false } as const;
      const { upstream } = decide(auth, modelRoute, nobody);
      return { upstream, headers: null, provider: null, degraded: false };
    }
    const failure = await this.#loaded.load();
    if (this.#loaded.current) return this.authorize(auth, modelRoute);
    throw failure ?? new SidecarError('AUTH_NOT_CONFIGURED', 'no credential');
  }

  /** A mounted secret may have been exchanged without anybody saying so. */
  async #readSourceAgain(): Promise<void> {
    const monotonicNow = this.#deps.monotonicNow();
    if (!this.#loaded.isLoading && monotonicNow - this.#readAgainAt < READ_AGAIN_PAUSE_MS) return;
    this.#readAgainAt = monotonicNow;
    await this.#loaded.load();
  }

  #mayDegrade(): boolean {
    return this.#deps.agentIdentity().onUnavailable === 'bearer';
  }

  /** The bearer instead of an assertion, only where the operator asked for that. */
  async #fallback(
    credential: Credential,
    inject: Decision['inject'],
    error: unknown,
  ): Promise<Authorization> {
    const { log } = this.#deps;
    const allowed = inject === 'assertion' && this.#mayDegrade();
    const unavailable = error instanceof SidecarError && error.code === 'AUTH_IDENTITY_UNAVAILABLE';
    const provider = credential.bearer;
    if (!allowed || !unavailable || !provider) throw error;
    const headers = await provider.headers();
    if (this.#degraded !== credential) {
      log.warn({ err: error }, 'no identity: sending the bearer (onUnavailable: bearer)');
    }
    this.#degraded = credential;
    return { upstream: 'chatgpt', headers, provider, degraded: true };
  }
}

function abilities(credential: Credential) {
  return {
    mode: credential.mode,
    bearer: credential.bearer !== null,
    assertion: credential.assertion !== null,
  };
}

/** A failure comes as a promise in any case. */
function headersOf(
  provider: BearerProvider | AssertionProvider,
): AuthHeaders | Promise<AuthHeaders> {
  try {
    return provider.headers();
  } catch (error) {
    return Promise.reject(error);
  }
}
