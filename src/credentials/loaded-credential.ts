import { ConfigError, SidecarError } from '../base/errors.ts';
import type { Config } from '../config/resolve.ts';
import { buildCredential, type Kept } from './build-credential.ts';
import type { Credential } from './credential.ts';
import type { CredentialDeps } from './credential-deps.ts';
import { hasRecord } from './identity-forms.ts';
import { type EnvironmentCredentials, type Selection, selectCredential } from './selection.ts';
import { selectionDigest } from './selection-digest.ts';

export type AgentIdentitySettings = Config['agentIdentity'];

export type LoadDeps = Omit<CredentialDeps, 'config'> & {
  upstream: Config['upstream'];
  /** Asked whenever it matters: a reload changes it. */
  agentIdentity: () => AgentIdentitySettings;
  /** Asked at every load: mounted secrets change while we run. */
  environment: () => Promise<EnvironmentCredentials>;
};

/** What was stored when it was read. */
export interface CredentialRead {
  /** Reads may overlap; what a later one found is newer. */
  order: number;
  selection: Selection;
}

/** The credential in use: read from its source, built, and replaced when the source changes. */
export class LoadedCredential {
  readonly #deps: LoadDeps;
  readonly #kept: Kept = { session: null, instance: null };
  #credential: Credential | null = null;
  /** The settings that it was built with, as JSON. */
  #builtWith: string | null = null;
  #failure: SidecarError | null = null;
  #loading: Promise<SidecarError | null> | null = null;
  #reads = 0;
  /** Order of the last read that changed anything. */
  #latest = 0;
  #disposed = false;

  constructor(deps: LoadDeps) {
    this.#deps = deps;
  }

  /** null before the first load, and when none is stored. */
  get current(): Credential | null {
    return this.#credential;
  }

  /** Why the stored credential is not in use. */
  get failure(): SidecarError | null {
    return this.#failure;
  }

  get isLoading(): boolean {
    return this.#loading !== null;
  }

  /** Outlives the credential that it was made for. */
  get session(): Kept['session'] {
    return this.#kept.session;
  }

  /** Reads and uses it, once for all who ask at the same time. Never rejects. @returns the failure */
  load(): Promise<SidecarError | null> {
    this.#loading ??= this.loadAnew().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** The same, by a read that begins now. */
  async loadAnew(): Promise<SidecarError | null> {
    try {
      const read = await this.read();
      this.use(read, this.#deps.agentIdentity());
    } catch {
      // Noted by whoever threw it; a later read may have come first.
    }
    return this.#failure;
  }

  /**
   * Reads what is stored now; it is not used yet.
   * @throws SidecarError; a credential that is gone is given up then, any other one stays
   */
  async read(): Promise<CredentialRead> {
    const order = ++this.#reads;
    const { environment, store } = this.#deps;
    try {
      return {
        order,
        selection: await selectCredential(await environment(), () => store.load()),
      };
    } catch (error) {
      throw this.#failed(order, error);
    }
  }

  /**
   * Uses what was read, at once.
   * @param agentIdentity settings to build the credential with
   * @returns false when a later read came first; then nothing has changed
   * @throws SidecarError AUTH_CREDENTIAL_INVALID; the old credential stays then
   */
  use({ order, selection }: CredentialRead, agentIdentity: AgentIdentitySettings): boolean {
    if (order < this.#latest) return false;
    if (this.#disposed) return true;
    const builtWith = JSON.stringify(agentIdentity);
    try {
      const digest = selectionDigest(selection, hasRecord(agentIdentity));
      if (builtWith !== this.#builtWith || this.#credential?.digest() !== digest) {
        const config = { upstream: this.#deps.upstream, agentIdentity };
        this.#replace(buildCredential(selection, { ...this.#deps, config }, this.#kept));
        const { log } = this.#deps;
        log.info({ mode: this.#credential?.mode, from: selection.from }, 'credential loaded');
      }
    } catch (error) {
      throw this.#failed(order, error);
    }
    this.#latest = order;
    this.#builtWith = builtWith;
    this.#failure = null;
    return true;
  }

  /** Ends all timers; a load that is under way changes nothing any more. */
  dispose(): void {
    this.#disposed = true;
    this.#kept.session?.release();
    this.#replace(null);
  }

  /** Notes a failure, unless a later read came first. @returns what to throw */
  #failed(order: number, error: unknown): SidecarError {
    const failure = credentialError(error);
    if (order < this.#latest) return failure;
    this.#latest = order;
    if (failure.code === 'AUTH_NOT_CONFIGURED') this.#replace(null);
    // A probe asks again and again; the log says it once.
    if (failure.message !== this.#failure?.message) {
      const { log } = this.#deps;
      log.warn({ code: failure.code, kept: this.#credential !== null }, failure.message);
    }
    this.#failure = failure;
    return failure;
  }

  #replace(credential: Credential | null): void {
    this.#credential?.bearer?.dispose();
    this.#credential?.assertion?.dispose();
    const changed = this.#credential !== credential;
    this.#credential = credential;
    if (changed) this.#deps.observe?.({ type: 'changed' });
  }
}

function credentialError(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error;
  if (error instanceof ConfigError) {
    return new SidecarError('AUTH_CREDENTIAL_INVALID', error.message);
  }
  return new SidecarError('AUTH_CREDENTIAL_INVALID', 'the credential cannot be read', {
    cause: error,
  });
}
