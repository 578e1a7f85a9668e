import { ASSERTION_SCHEME } from '../agent-identity/assertion.ts';
import { buildInstanceAssertion } from '../agent-identity/instance-assertion.ts';
import { type InstanceApi, registerInstance } from '../agent-identity/instance-registration.ts';
import { type AgentKey, fingerprint, generateAgentKey } from '../agent-identity/keys.ts';
import { RegistrationError } from '../agent-identity/registration-call.ts';
import { type Clock, wholeSeconds } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import { type CredentialObserver, observeRegistration } from '../telemetry/credential-events.ts';
import type { Identity, IdentityFacts, IdentityForm, IdentitySource } from './identity-source.ts';
import type { AuthHeaders, BearerProvider } from './provider.ts';

/** The login that a runtime instance acts for. It may be read again while the instance stays. */
export interface Actor {
  readonly type: 'oauth' | 'personal_access_token';
  readonly bearer: BearerProvider;
  /** The token that the headers of {@link bearer} carry. */
  token(): Secret;
  /** null when it is not known. */
  readonly userId: string | null;
}

interface RuntimeInstanceDeps {
  api: InstanceApi;
  headers: IdentityForm['headers'];
  /** A UUID that names this installation. */
  installationId: string;
  /** Sent as `harness_version`. */
  version: string;
  log: Logger;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

/**
 * The second form of Agent Identity: a runtime instance that a login registers, once in the life of
 * this process. Its key is in memory only.
 */
export class RuntimeInstance implements IdentitySource {
  readonly source = 'registered';
  readonly form: IdentityForm;
  readonly #deps: RuntimeInstanceDeps;
  #actor: Actor;

  constructor(actor: Actor, deps: RuntimeInstanceDeps) {
    this.#actor = actor;
    this.#deps = deps;
    this.form = {
      name: 'runtimeInstance',
      headers: deps.headers,
      proof: 'runtime instance',
      revoked:
        'the runtime instance was revoked at the backend; find out why, then restart the sidecar',
    };
  }

  /** From now on the same login by another object, for instance with newer tokens. */
  actAs(actor: Actor): void {
    this.#actor = actor;
  }

  known(): Partial<IdentityFacts> {
    return {};
  }

  establishNow(): null {
    return null;
  }

  async establish(): Promise<Identity> {
    const bearer = await this.#actor.bearer.headers();
    try {
      return await this.#register();
    } catch (error) {
      // The token was revoked early.
      const refused = error instanceof RegistrationError && error.status === 401;
      if (!refused || !(await this.#replaced(bearer))) throw error;
      return this.#register();
    }
  }

  /** As Codex does: new tokens first, then a new instance. */
  async renew(): Promise<Identity> {
    // Without new tokens the present ones may still register.
    await this.#replaced(await this.#actor.bearer.headers());
    return this.#register();
  }

  /** @returns whether there are other tokens than the refused ones now */
  #replaced(bearer: AuthHeaders): Promise<boolean> {
    return this.#actor.bearer.rejected(bearer, { kind: 'bearer', code: 'unauthorized' });
  }

  async #register(): Promise<Identity> {
    const { api, installationId, version, observe, log } = this.#deps;
    const { type, userId, bearer } = this.#actor;
    const { accountId, fedramp } = await bearer.headers();
    const key = generateAgentKey();
    const actor = { type, credential: this.#actor.token(), accountId, userId };
    const registration = registerInstance(api, { key, actor, installationId, version });
    const id = await observeRegistration(observe, 'instance', registration);
    log.info({ runtimeInstanceId: id }, 'registered a runtime instance');
    const registered = { id, key, accountId, fedramp, registeredAt: api.now() };
    return new InstanceIdentity(registered, this.form.headers, () => this.#actor, observe);
  }
}

interface Registered {
  id: string;
  key: AgentKey;
  accountId: string | null;
  fedramp: boolean;
  /** Milliseconds since the epoch. */
  registeredAt: number;
}

class InstanceIdentity implements Identity {
  readonly id: string;
  readonly facts: Partial<IdentityFacts>;
  readonly #registered: Registered;
  readonly #isDual: boolean;
  readonly #actor: () => Actor;
  readonly #observe: CredentialObserver | undefined;

  constructor(
    registered: Registered,
    headers: IdentityForm['headers'],
    actor: () => Actor,
    observe: CredentialObserver | undefined,
  ) {
    this.id = registered.id;
    this.facts = {
      publicKey: fingerprint(registered.key.publicKeySsh),
      runtimeInstanceId: registered.id,
      runtimeInstanceRegisteredAt: wholeSeconds(registered.registeredAt),
    };
    this.#registered = registered;
    this.#isDual = headers === 'dual';
    this.#actor = actor;
    this.#observe = observe;
  }

  isReady(): boolean {
    return !this.#isDual || this.#actor().bearer.isReady();
  }

  async headers(backendNow: Clock): Promise<AuthHeaders> {
    const { accountId, fedramp } = this.#registered;
    const kind = 'assertion';
    // First, because an expired token is refreshed here, and an assertion is stamped with its time.
    const bearer = this.#isDual ? await this.#actor().bearer.headers() : null;
    const assertion = await buildInstanceAssertion(this.id, this.#registered.key, backendNow());
    this.#observe?.({ type: 'assertionBuilt' });
    if (bearer) return { ...bearer, kind, assertion: new Secret(assertion), credential: this };
    const authorization = new Secret(`${ASSERTION_SCHEME} ${assertion}`);
    return { kind, authorization, assertion: null, accountId, fedramp, credential: this };
  }
}
