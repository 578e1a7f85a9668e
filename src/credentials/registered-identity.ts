import {
  type AgentKey,
  encodeAgentKey,
  fingerprint,
  generateAgentKey,
} from '../agent-identity/keys.ts';
import { type AuthApi, registerAgent, registerTask } from '../agent-identity/registration.ts';
import { RegistrationError } from '../agent-identity/registration-call.ts';
import type { AuthDocument, IdentityRecord } from '../auth-store/auth-document.ts';
import {
  type Announcement,
  AnnouncementRefused,
  type AuthStore,
  ChangedMeanwhile,
  StoreUnavailable,
  sourceOf,
  type Transaction,
} from '../auth-store/store.ts';
import { invalidCredential, SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import { LockError } from '../files/lock.ts';
import { type CredentialObserver, observeRegistration } from '../telemetry/credential-events.ts';
import { type ChatGptLogin, readChatGptLogin } from './chatgpt-login.ts';
import type { ChatGptSession } from './chatgpt-session.ts';
import type { IdentityFacts, IdentitySource } from './identity-source.ts';
import { RUN_TASK_FORM, RunTaskIdentity } from './run-task-identity.ts';
import { recordDigest } from './selection-digest.ts';
import { parseStoredKey } from './stored-key.ts';

interface RegisteredIdentityDeps {
  store: AuthStore;
  authApi: AuthApi;
  log: Logger;
  /** Sent as `agent_version`. */
  version: string;
  /** `linux`, `darwin`, …; sent as `sidecar-<platform>`. */
  platform: string;
  /** Shortest time between a registration, by whatever process, and a new task. */
  pauseMs: number;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

type LoginSession = Pick<ChatGptSession, 'login' | 'isExpired' | 'renew'>;

/**
 * An identity that is kept as a record in the store. Beside a ChatGPT login (policy `chatgptAuth`)
 * a new one is registered when no record fits the login. A record alone (`session` null) can only
 * register a missing run task.
 */
export class RegisteredIdentity implements IdentitySource {
  readonly form = RUN_TASK_FORM;
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

  known(): Partial<IdentityFacts> {
    if (!this.#record || !this.#key) return {};
    const { agentRuntimeId } = this.#record;
    return { agentRuntimeId, publicKey: fingerprint(this.#key.publicKeySsh) };
  }

  establishNow(): RunTaskIdentity | null {
    return this.#identity(null);
  }

  get #login(): ChatGptLogin | null {
    return this.#session?.login ?? null;
  }

  /** The record in the store, as far as is known. */
  get stored(): IdentityRecord | null {
    return this.#stored;
  }

  async establish(): Promise<RunTaskIdentity> {
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

  renew(rejectedTaskId: string): Promise<RunTaskIdentity> {
    return this.#transact((transaction) => this.#register(transaction, rejectedTaskId));
  }

  async #transact(
    work: (transaction: Transaction) => Promise<RunTaskIdentity>,
  ): Promise<RunTaskIdentity> {
    try {
      return await this.#again(() => this.#deps.store.register(work));
    } catch (error) {
      throw unavailable(error) ?? error;
    }
  }

  /** Where another process was first, its record is there to be taken over. */
  async #again(work: () => Promise<RunTaskIdentity>): Promise<RunTaskIdentity> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ChangedMeanwhile)) throw error;
      return work();
    }
  }

  async #register(
    transaction: Transaction,
    rejectedTaskId: string | null,
  ): Promise<RunTaskIdentity> {
    // Another process may have registered while this one waited for its turn.
    const { identityRecord } = this.#checkUnchanged(transaction.current);
    if (recordDigest(identityRecord) !== recordDigest(this.#stored)) {
      this.#stored = identityRecord;
      this.#adopt(identityRecord);
    }
    const found = this.#identity(null);
    if (found && found.taskId !== rejectedTaskId) return found;
    const pauseMs = rejectedTaskId === null ? 0 : this.#deps.pauseMs;
    const announcement = await transaction.announce({ kind: 'identity', pauseMs });
    try {
      const authApi = announcing(this.#deps.authApi, announcement);
      if (!this.#record) {
        await this.#registerAgent(transaction, authApi);
        await announcement.again();
      }
      const identity = await this.#registerTask(transaction, authApi);
      await announcement.ended('registered');
      return identity;
    } catch (error) {
      await announcement.ended('failed');
      throw error;
    }
  }

  async #registerAgent(transaction: Transaction, authApi: AuthApi): Promise<void> {
    const login = this.#login;
    if (!login) throw new SidecarError('SIDECAR_INTERNAL', 'no login to register an agent for');
    if (!login.userId) {
      throw invalidCredential('stored tokens', 'name no ChatGPT user; sign in again');
    }
    const key = generateAgentKey();
    const { version, platform, observe } = this.#deps;
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
    await this.#persist(transaction, this.#record, 'agent');
  }

  async #registerTask(transaction: Transaction, authApi: AuthApi): Promise<RunTaskIdentity> {
    const record = this.#record;
    const key = this.#key;
    if (!record || !key) throw new SidecarError('SIDECAR_INTERNAL', 'no identity to register for');
    const { agentRuntimeId } = record;
    const { observe } = this.#deps;
    const registration = registerTask(authApi, { agentRuntimeId, key });
    const taskId = await observeRegistration(observe, 'task', registration);
    this.#record = { ...record, taskId };
    this.#deps.log.info({ agentRuntimeId }, 'registered a run task');
    await this.#persist(transaction, this.#record, 'task');
    const identity = this.#identity(authApi.now());
    if (!identity) throw new SidecarError('SIDECAR_INTERNAL', 'the run task was not kept');
    return identity;
  }

  /** Uses a record if it fits the login and its key parses. */
  #adopt(record: IdentityRecord | null): void {
    if (!record) return;
    const login = this.#login;
    if (!login) {
      this.#key = parseStoredKey(record, sourceOf(this.#deps.store));
      this.#record = record;
      return;
    }
    if (record.accountId !== login.account.id || record.userId !== login.userId) return;
    try {
      this.#key = parseStoredKey(record, sourceOf(this.#deps.store));
      this.#record = record;
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the stored identity cannot be used and is replaced');
    }
  }

  /** After a logout or another login, the earlier identity must not be written back. */
  #checkUnchanged(current: AuthDocument | null): AuthDocument {
    if (!this.#login) {
      if (current?.identityRecord) return current;
      throw invalidCredential('stored agent_identity', 'was removed since the start');
    }
    if (!current?.tokens) throw invalidCredential('stored tokens', 'were removed since the start');
    const stored = readChatGptLogin(current.tokens, current.lastRefresh);
    if (stored.account.id !== this.#login.account.id || stored.userId !== this.#login.userId) {
      throw invalidCredential('stored tokens', 'belong to another account than at start');
    }
    return current;
  }

  #belongsTo(document: AuthDocument | null): boolean {
    try {
      this.#checkUnchanged(document);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * @throws ChangedMeanwhile when another process has registered, and its record counts, or when the
   * login is another one
   */
  async #persist(
    transaction: Transaction,
    record: IdentityRecord,
    what: 'agent' | 'task',
  ): Promise<void> {
    try {
      const { current } = transaction;
      if (!current) return;
      if (current.identityToken) throw new Error('agent_identity holds a JWT, which stays');
      // Whoever signs out meanwhile must not be left with an identity.
      const fits = (now: AuthDocument | null) => this.#belongsTo(now);
      await transaction.write(current.identityChange(record), fits);
      this.#stored = record;
    } catch (error) {
      if (error instanceof ChangedMeanwhile) {
        this.#deps.observe?.({ type: 'registration', what, outcome: 'orphaned' });
        throw error;
      }
      this.#warnNotKept(error);
    }
  }

  #warnNotKept(error: unknown): void {
    this.#deps.log.warn(
      { err: error },
      `the identity cannot be kept in ${this.#deps.store.location}; every start registers a new one`,
    );
  }

  #identity(taskRegisteredAt: number | null): RunTaskIdentity | null {
    const record = this.#record;
    const key = this.#key;
    if (!record || !key || record.taskId === null) return null;
    const { agentRuntimeId, accountId, fedramp, taskId } = record;
    const task = { agentRuntimeId, key, accountId, fedramp, taskId, taskRegisteredAt };
    return new RunTaskIdentity(task, this.#deps.observe);
  }
}

/** Each further try of a request says first that the attempt goes on; a pause comes before it. */
function announcing(authApi: AuthApi, announcement: Announcement): AuthApi {
  const sleep = async (ms: number) => {
    await authApi.sleep(ms);
    await announcement.again();
  };
  return { ...authApi, sleep };
}

/** What passes by itself, in the words of the store; null for anything else. */
function unavailable(cause: unknown): SidecarError | null {
  const passes =
    // Its holder is registering or refreshing; a second registration at the same time would be wrong.
    cause instanceof LockError ||
    cause instanceof AnnouncementRefused ||
    cause instanceof StoreUnavailable;
  return passes ? new SidecarError('AUTH_IDENTITY_UNAVAILABLE', cause.message, { cause }) : null;
}
