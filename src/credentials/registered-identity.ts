import {
  type AgentKey,
  encodeAgentKey,
  generateAgentKey,
  parseAgentKey,
} from '../agent-identity/keys.ts';
import {
  type AuthApi,
  RegistrationError,
  registerAgent,
  registerTask,
} from '../agent-identity/registration.ts';
import type { AuthDocument, IdentityRecord } from '../auth-store/auth-document.ts';
import type { AuthStore, Transaction } from '../auth-store/file-store.ts';
import { invalidCredential, SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import { LockError } from '../files/lock.ts';
import { type CredentialObserver, observeRegistration } from '../telemetry/credential-events.ts';
import { type ChatGptLogin, readChatGptLogin } from './chatgpt-login.ts';
import type { ChatGptSession } from './chatgpt-session.ts';
import type { IdentitySource, RunIdentity } from './identity-source.ts';
import { recordDigest } from './selection-digest.ts';

interface RegisteredIdentityDeps {
  store: AuthStore;
  authApi: AuthApi;
  log: Logger;
  /** Sent as `agent_version`. */
  version: string;
  /** `linux`, `darwin`, …; sent as `sidecar-<platform>`. */
  platform: string;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

type LoginSession = Pick<ChatGptSession, 'login' | 'isExpired' | 'renew'>;

const RECORD_KEY_FIELD = 'auth.json agent_identity.agent_private_key';

/**
 * An identity that is kept as a record in the store. Beside a ChatGPT login (policy `chatgptAuth`)
 * a new one is registered when no record fits the login. A record alone (`session` null) can only
 * register a missing run task.
 */
export class RegisteredIdentity implements IdentitySource {
  readonly source = 'registered';
  readonly #session: LoginSession | null;
  readonly #deps: RegisteredIdentityDeps;
  #record: IdentityRecord | null;
  /** The record in the store; another than the one in use if it does not fit or a write failed. */
  #stored: IdentityRecord | null;
  #key: AgentKey | null = null;

  constructor(
    session: LoginSession | null,
    record: IdentityRecord | null,
    deps: RegisteredIdentityDeps,
  ) {
    this.#session = session;
    this.#deps = deps;
    this.#record = null;
    this.#stored = record;
    this.#adopt(record);
  }

  known(): { agentRuntimeId: string; publicKeySsh: string } | null {
    if (!this.#record || !this.#key) return null;
    return {
      agentRuntimeId: this.#record.agentRuntimeId,
      publicKeySsh: this.#key.publicKeySsh,
    };
  }

  establishNow(): RunIdentity | null {
    return this.#runIdentity(null);
  }

  get #login(): ChatGptLogin | null {
    return this.#session?.login ?? null;
  }

  /** The record in the store, as far as is known. */
  get stored(): IdentityRecord | null {
    return this.#stored;
  }

  async establish(): Promise<RunIdentity> {
    // Before the lock is taken, because a refresh takes it too.
    if (this.#session?.isExpired()) {
      await this.#session.renew(this.#session.login.accessToken, false);
    }
    const used = this.#login?.accessToken;
    const register = () => this.#transact((transaction) => this.#register(transaction, null));
    try {
      return await register();
    } catch (error) {
      const refused = error instanceof RegistrationError && error.status === 401;
      // The access token was revoked early. With a record, none was sent.
      if (!refused || this.#record || !this.#session || !used) throw error;
      await this.#session.renew(used, true);
      return register();
    }
  }

  renew(rejectedTaskId: string): Promise<RunIdentity> {
    return this.#transact((transaction) => this.#register(transaction, rejectedTaskId));
  }

  async #transact(work: (transaction: Transaction) => Promise<RunIdentity>): Promise<RunIdentity> {
    try {
      return await this.#deps.store.transact(work);
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
      // Its holder is registering or refreshing; a second registration at the same time would be wrong.
      throw new SidecarError('AUTH_IDENTITY_UNAVAILABLE', error.message, { cause: error });
    }
  }

  async #register(transaction: Transaction, rejectedTaskId: string | null): Promise<RunIdentity> {
    // Another process may have registered while this one waited for the lock.
    const { identityRecord } = this.#checkUnchanged(transaction.current);
    if (recordDigest(identityRecord) !== recordDigest(this.#stored)) {
      this.#stored = identityRecord;
      this.#adopt(identityRecord);
    }
    if (!this.#record) await this.#registerAgent(transaction);
    const found = this.#runIdentity(null);
    if (found && found.taskId !== rejectedTaskId) return found;
    return this.#registerTask(transaction);
  }

  async #registerAgent(transaction: Transaction): Promise<void> {
    const login = this.#login;
    if (!login) throw new SidecarError('SIDECAR_INTERNAL', 'no login to register an agent for');
    if (!login.userId) {
      throw invalidCredential('auth.json tokens', 'name no ChatGPT user; sign in again');
    }
    const key = generateAgentKey();
    const { authApi, version, platform, observe } = this.#deps;
    const registration = registerAgent(authApi, {
      key,
      version,
      platform,
      accessToken: login.accessToken,
      fedramp: login.account.fedramp,
    });
    const agentRuntimeId = await observeRegistration(observe, 'agent', registration);
    this.#key = key;
    this.#record = {
      agentRuntimeId,
      privateKey: new Secret(encodeAgentKey(key)),
      accountId: login.account.id,
      userId: login.userId,
      email: login.account.email,
      planType: login.account.planType,
      fedramp: login.account.fedramp,
      taskId: null,
    };
    this.#deps.log.info({ agentRuntimeId }, 'registered an agent identity');
    await this.#persist(transaction, this.#record);
  }

  async #registerTask(transaction: Transaction): Promise<RunIdentity> {
    const record = this.#record;
    const key = this.#key;
    if (!record || !key) throw new SidecarError('SIDECAR_INTERNAL', 'no identity to register for');
    const { agentRuntimeId } = record;
    const { authApi, observe } = this.#deps;
    const registration = registerTask(authApi, { agentRuntimeId, key });
    const taskId = await observeRegistration(observe, 'task', registration);
    this.#record = { ...record, taskId };
    this.#deps.log.info({ agentRuntimeId }, 'registered a run task');
    await this.#persist(transaction, this.#record);
    const identity = this.#runIdentity(authApi.now());
    if (!identity) throw new SidecarError('SIDECAR_INTERNAL', 'the run task was not kept');
    return identity;
  }

  /** Uses a record if it fits the login and its key parses. */
  #adopt(record: IdentityRecord | null): void {
    if (!record) return;
    const login = this.#login;
    if (!login) {
      this.#key = parseAgentKey(record.privateKey.reveal(), RECORD_KEY_FIELD);
      this.#record = record;
      return;
    }
    if (record.accountId !== login.account.id || record.userId !== login.userId) return;
    try {
      this.#key = parseAgentKey(record.privateKey.reveal(), RECORD_KEY_FIELD);
      this.#record = record;
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the stored identity cannot be used and is replaced');
    }
  }

  /** After a logout or another login, the earlier identity must not be written back. */
  #checkUnchanged(current: AuthDocument | null): AuthDocument {
    if (!this.#login) {
      if (current?.identityRecord) return current;
      throw invalidCredential('auth.json agent_identity', 'was removed since the start');
    }
    if (!current?.tokens)
      throw invalidCredential('auth.json tokens', 'were removed since the start');
    const stored = readChatGptLogin(current.tokens, current.lastRefresh);
    if (stored.account.id !== this.#login.account.id || stored.userId !== this.#login.userId) {
      throw invalidCredential('auth.json tokens', 'belong to another account than at start');
    }
    return current;
  }

  async #persist(transaction: Transaction, record: IdentityRecord): Promise<void> {
    try {
      const { current } = transaction;
      if (!current) return;
      if (current.identityToken) throw new Error('agent_identity holds a JWT, which stays');
      await transaction.write(current.identityChange(record));
      this.#stored = record;
    } catch (error) {
      this.#warnNotKept(error);
    }
  }

  #warnNotKept(error: unknown): void {
    this.#deps.log.warn(
      { err: error },
      `the identity cannot be kept in ${this.#deps.store.location}; every start registers a new one`,
    );
  }

  #runIdentity(taskRegisteredAt: number | null): RunIdentity | null {
    const record = this.#record;
    const key = this.#key;
    if (!record || !key || record.taskId === null) return null;
    const { agentRuntimeId, accountId, fedramp, taskId } = record;
    return { agentRuntimeId, key, accountId, fedramp, taskId, taskRegisteredAt };
  }
}
