import type { RouteAuth } from '../config.ts';
import { SidecarError } from '../errors.ts';
import { buildCredential, type CredentialDeps } from './build-credential.ts';
import { type Decision, decide } from './policy.ts';
import { type EnvironmentCredentials, selectCredential } from './select.ts';
import type {
  Account,
  AuthHeaders,
  AuthMode,
  BearerStatus,
  Credential,
  IdentityStatus,
} from './types.ts';

/** A request's way upstream: which upstream, and which headers, if any. */
export interface Authorization {
  upstream: Decision['upstream'];
  headers: AuthHeaders | null;
}

/** What status and health show of the credential; holds no secret. */
export interface CredentialSnapshot {
  /** `starting` until the first load has ended. */
  state: 'starting' | 'ready' | 'waiting' | 'degraded' | 'unauthenticated' | 'failed';
  mode: AuthMode | null;
  account: Account | null;
  identity: IdentityStatus;
  bearer: BearerStatus;
  /** Why there is no usable credential. */
  error: SidecarError | null;
}

export type ManagerDeps = CredentialDeps & { environment: EnvironmentCredentials };

const NO_BEARER: BearerStatus = {
  state: 'none',
  expiresAt: null,
  lastRefreshAt: null,
  lastError: null,
};
const NO_IDENTITY: IdentityStatus = {
  state: 'off',
  source: null,
  agentRuntimeId: null,
  publicKey: null,
  taskId: null,
  taskRegisteredAt: null,
  lastRejection: null,
  lastError: null,
};

/** Holds the current credential and answers what a request of a route kind carries upstream. */
export class CredentialManager {
  readonly #deps: ManagerDeps;
  #credential: Credential | null = null;
  #failure: SidecarError | null = null;
  #loading: Promise<void> | null = null;
  #degraded = false;

  constructor(deps: ManagerDeps) {
    this.#deps = deps;
  }

  /**
   * Loads the credential if there is none, and prepares its identity. Called at start and by every
   * health probe, so that a failed start mends itself without traffic. Never rejects.
   */
  async prepare(): Promise<void> {
    if (!this.#credential) await this.#load();
    await this.#credential?.assertion?.prepare();
  }

  /**
   * The headers for one request. Answers at once when everything is at hand.
   * @throws SidecarError, or rejects with one
   */
  authorize(auth: RouteAuth, modelRoute: boolean): Authorization | Promise<Authorization> {
    if (!this.#credential) return this.#loadAndAuthorize(auth, modelRoute);
    const credential = this.#credential;
    const { inject, upstream } = decide(auth, modelRoute, abilities(credential));
    if (inject === 'none') return { upstream, headers: null };
    const provider = inject === 'assertion' ? credential.assertion : credential.bearer;
    if (!provider) throw new SidecarError('SIDECAR_INTERNAL', `no provider for ${inject}`);
    const headers = provider.headers();
    if (!(headers instanceof Promise)) {
      if (inject === 'assertion') this.#degraded = false;
      return { upstream, headers };
    }
    return headers.then(
      (ready) => {
        if (inject === 'assertion') this.#degraded = false;
        return { upstream, headers: ready };
      },
      (error: unknown) => ({ upstream, headers: this.#fallback(credential, error) }),
    );
  }

  snapshot(): CredentialSnapshot {
    const credential = this.#credential;
    return {
      state: this.#state(),
      mode: credential?.mode ?? null,
      account: credential?.account ?? null,
      identity: credential?.assertion?.status() ?? NO_IDENTITY,
      bearer: credential?.bearer?.status() ?? NO_BEARER,
      error: this.#failure,
    };
  }

  #state(): CredentialSnapshot['state'] {
    if (!this.#credential) {
      if (!this.#failure) return 'starting';
      return this.#failure.code === 'AUTH_NOT_CONFIGURED' ? 'unauthenticated' : 'failed';
    }
    const { bearer, assertion } = this.#credential;
    const bearerReady = bearer?.isReady() ?? true;
    if (!assertion || assertion.isReady()) return bearerReady ? 'ready' : 'failed';
    if (assertion.status().state === 'registering') return 'waiting';
    return this.#degraded && bearerReady ? 'degraded' : 'failed';
  }

  async #loadAndAuthorize(auth: RouteAuth, modelRoute: boolean): Promise<Authorization> {
    if (auth === 'none' || auth === 'deny') {
      const nobody = { mode: 'chatgpt', bearer: false, assertion: false } as const;
      return { upstream: decide(auth, modelRoute, nobody).upstream, headers: null };
    }
    await this.#load();
    if (this.#credential) return this.authorize(auth, modelRoute);
    throw this.#failure ?? new SidecarError('AUTH_NOT_CONFIGURED', 'no credential');
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #loadOnce(): Promise<void> {
    const { store, environment, log } = this.#deps;
    try {
      const selection = await selectCredential(environment, () => store.load());
      this.#credential = buildCredential(selection, this.#deps);
      this.#failure = null;
      log.info({ mode: this.#credential.mode, from: selection.from }, 'credential loaded');
    } catch (error) {
      const failure =
        error instanceof SidecarError
          ? error
          : new SidecarError('AUTH_CREDENTIAL_INVALID', 'the credential cannot be read', {
              cause: error,
            });
      // A probe asks again and again; the log says it once.
      if (failure.message !== this.#failure?.message) {
        log.warn({ code: failure.code }, failure.message);
      }
      this.#failure = failure;
    }
  }

  /** The bearer instead of an assertion, only where the operator asked for that. */
  #fallback(credential: Credential, error: unknown): AuthHeaders {
    const allowed = this.#deps.config.agentIdentity.onUnavailable === 'bearer';
    const unavailable = error instanceof SidecarError && error.code === 'AUTH_IDENTITY_UNAVAILABLE';
    const headers = allowed && unavailable ? credential.bearer?.headers() : undefined;
    if (!headers || headers instanceof Promise) throw error;
    if (!this.#degraded) {
      this.#deps.log.warn(
        { err: error },
        'no identity: sending the bearer (onUnavailable: bearer)',
      );
    }
    this.#degraded = true;
    return headers;
  }
}

function abilities(credential: Credential) {
  return {
    mode: credential.mode,
    bearer: credential.bearer !== null,
    assertion: credential.assertion !== null,
  };
}
