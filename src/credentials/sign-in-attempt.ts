import type { AuthStore } from '../auth-store/store.ts';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { DeviceLoginError } from '../oauth/device-login.ts';
import type { CredentialManager } from './manager.ts';
import { type EnvironmentCredentials, selectCredential } from './selection.ts';
import { beginSignIn, type SignIn, type SignInDeps } from './sign-in.ts';

/** How far the sign-in from the status page is. The code is for the page, and is never logged. */
export type SignInState =
  | { state: 'none' }
  | { state: 'beginning' }
  | { state: 'waiting'; userCode: string; verificationUrl: string; secondsLeft: number }
  | { state: 'failed'; reason: string };

interface AttemptDeps {
  client: SignInDeps['client'];
  store: AuthStore;
  manager: Pick<CredentialManager, 'load' | 'needsSignIn' | 'reload'>;
  environment: () => Promise<EnvironmentCredentials>;
  log: Logger;
  /** Called when the state has changed. */
  changed: () => void;
}

interface Attempt {
  controller: AbortController;
  /** null until there is a code. */
  signIn: SignIn | null;
  begun: Promise<SignIn>;
  /** Resolves when its login is in use, or the attempt has failed. Never rejects. */
  ended: Promise<void>;
}

/**
 * A sign-in with a device code that the running sidecar makes for itself: one at a time, never over
 * a login that works, and never over another account's. It ends with its code.
 */
export class SignInAttempts {
  readonly #deps: AttemptDeps;
  #attempt: Attempt | null = null;
  /** Why the last attempt failed. */
  #failure: string | null = null;
  #stopped = false;

  constructor(deps: AttemptDeps) {
    this.#deps = deps;
  }

  state(): SignInState {
    const attempt = this.#attempt;
    if (attempt && !attempt.controller.signal.aborted) {
      if (!attempt.signIn) return { state: 'beginning' };
      const { userCode, verificationUrl, deadline } = attempt.signIn.code;
      const left = (deadline - this.#deps.client.monotonicNow()) / 1000;
      const secondsLeft = Math.max(0, Math.floor(left));
      return { state: 'waiting', userCode, verificationUrl, secondsLeft };
    }
    return this.#failure === null ? { state: 'none' } : { state: 'failed', reason: this.#failure };
  }

  /**
   * Begins an attempt, or joins the one that runs.
   * @throws SidecarError where none may begin
   */
  async begin(): Promise<SignInState> {
    await this.#checkNeed();
    // One that was cancelled may be about to store its login.
    while (this.#attempt?.controller.signal.aborted) await this.#attempt.ended;
    if (this.#stopped) throw new SidecarError('AUTH_DRAINING', 'the sidecar is shutting down');
    this.#attempt ??= this.#start();
    const { begun, ended } = this.#attempt;
    await begun.catch(() => ended);
    return this.state();
  }

  /** Ends the attempt that runs, if any, and forgets why the last one failed. */
  async cancel(): Promise<SignInState> {
    const attempt = this.#attempt;
    attempt?.controller.abort();
    await attempt?.ended;
    this.#failure = null;
    this.#deps.changed();
    return this.state();
  }

  /** Ends the attempt that runs, and begins no other. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.cancel();
  }

  /** @throws SidecarError */
  async #checkNeed(): Promise<void> {
    const { environment, manager } = this.#deps;
    const from = await credentialGiven(environment);
    if (from !== null) {
      throw refused(`the credential comes from ${from}, which comes before any login`);
    }
    await manager.load();
    if (!manager.needsSignIn()) {
      throw refused(
        'there is a credential that is not over; "codex-auth-sidecar login" replaces it',
      );
    }
  }

  #start(): Attempt {
    const controller = new AbortController();
    const { client, store, log, changed } = this.#deps;
    const howToReplace = 'use "codex-auth-sidecar login --device-auth --replace" to give it up';
    const deps = { client, store, replace: false, howToReplace };
    const begun = beginSignIn(deps, controller.signal).then((signIn) => {
      attempt.signIn = signIn;
      log.info('a sign-in was begun from the status page');
      changed();
      return signIn;
    });
    const attempt: Attempt = { controller, signIn: null, begun, ended: Promise.resolve() };
    attempt.ended = this.#follow(attempt);
    this.#failure = null;
    changed();
    return attempt;
  }

  async #follow(attempt: Attempt): Promise<void> {
    const { log, manager, changed } = this.#deps;
    try {
      const signIn = await attempt.begun;
      await signIn.finish();
      log.info('signed in from the status page');
      await manager.reload();
    } catch (error) {
      this.#note(attempt, error);
    } finally {
      this.#attempt = null;
      changed();
    }
  }

  #note({ controller, signIn }: Attempt, error: unknown): void {
    const { log } = this.#deps;
    if (controller.signal.aborted) {
      log.info('the sign-in from the status page was cancelled');
      return;
    }
    const known = error instanceof DeviceLoginError || error instanceof SidecarError;
    if (!known) log.error({ err: error }, 'the sign-in from the status page failed');
    this.#failure = known ? error.message : 'the sign-in failed; the log says why';
    const code = signIn?.code.userCode;
    // A server may quote the code.
    const logged = code === undefined ? this.#failure : this.#failure.replaceAll(code, '…');
    if (known) log.warn(`the sign-in from the status page failed: ${logged}`);
  }
}

/** @returns the variable that a credential comes from; null without one. @throws SidecarError */
async function credentialGiven(
  environment: () => Promise<EnvironmentCredentials>,
): Promise<string | null> {
  try {
    return (await selectCredential(await environment(), async () => null)).from;
  } catch (error) {
    if (error instanceof SidecarError && error.code === 'AUTH_NOT_CONFIGURED') return null;
    const why = error instanceof Error ? error.message : 'it cannot be read';
    throw refused(`the environment names a credential that cannot be used: ${why}`);
  }
}

function refused(why: string): SidecarError {
  return new SidecarError('AUTH_ROUTE_DENIED', `nobody can sign in from here: ${why}`);
}
