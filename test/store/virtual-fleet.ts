import { randomUUID } from 'node:crypto';
import type { Sealer } from '../../src/auth-store/sealing.ts';
import { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { createLogger } from '../../src/base/logger.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { ChatGptSession } from '../../src/credentials/chatgpt-session.ts';
import { RegisteredIdentity } from '../../src/credentials/registered-identity.ts';
import type { HttpClient, TextResponse } from '../../src/upstream/http-client.ts';
import { chatGptToken } from '../helpers/stored-login.ts';
import { MemoryEngine, MemoryRegister } from './memory-register.ts';
import { VirtualTime } from './virtual-time.ts';

const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };
const LIFETIME_MS = 100_000;

/** Nothing here is a secret, and real encryption would take real time. */
const PLAIN: Sealer = {
  seal: async (text) => text,
  open: async (sealed) => sealed,
  keyIdOf: () => null,
};

interface Sent {
  token: string;
  at: number;
  /** Whether the access token beside it had expired. */
  over: boolean;
}

/** A token endpoint, and an AuthAPI, whose time is virtual. */
export class VirtualBackend {
  readonly sent: Sent[] = [];
  /** Refresh tokens that reached a process that lives on. */
  readonly delivered = new Set<string>();
  agents = 0;
  tasks = 0;
  /** Milliseconds before and after each next refresh. */
  delays: [number, number][] = [];
  readonly #time: VirtualTime;
  readonly #expiry = new Map<string, number>();
  #living = '';
  #count = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get living(): string {
    return this.#living;
  }

  issue(): { access_token: string; refresh_token: string } {
    const expiresAt = this.#time.now() + LIFETIME_MS;
    this.#living = `refresh-${++this.#count}`;
    this.#expiry.set(this.#living, expiresAt);
    const access_token = chatGptToken({
      ...ACCOUNT,
      exp: expiresAt / 1000,
      email: `${this.#count}`,
    });
    return { access_token, refresh_token: this.#living };
  }

  async respond(path: string, body: unknown, sleep: VirtualTime['sleep']): Promise<TextResponse> {
    if (path.endsWith('/task/register')) return json(200, { task_id: `task-${++this.tasks}` });
    if (!path.endsWith('/token')) {
      await sleep(5);
      return json(200, { agent_runtime_id: `agent-${++this.agents}` });
    }
    return this.#refresh(String((body as { refresh_token: string }).refresh_token), sleep);
  }

  async #refresh(token: string, sleep: VirtualTime['sleep']): Promise<TextResponse> {
    const [before, after] = this.delays.shift() ?? [5, 5];
    const over = (this.#expiry.get(token) ?? 0) <= this.#time.now();
    this.sent.push({ token, at: this.#time.now(), over });
    await this.#time.sleep(before);
    if (token !== this.#living) {
      // A strict backend ends the login when a spent token comes again.
      this.#living = '';
      return json(401, { error: { code: 'refresh_token_reused' } });
    }
    const fresh = this.issue();
    await this.#time.sleep(after);
    await sleep(0);
    this.delivered.add(fresh.refresh_token);
    return json(200, fresh);
  }
}

/** One sidecar's part of the fleet; a dead one never goes on after its next wait. */
export class Replica {
  readonly register: MemoryRegister;
  readonly store: SharedAuthStore;
  session: ChatGptSession | null = null;
  identity: RegisteredIdentity | null = null;
  isDead = false;
  #stoppedUntil = 0;
  readonly #fleet: VirtualFleet;
  readonly #stopWatching: () => void;

  constructor(fleet: VirtualFleet, name: string) {
    this.#fleet = fleet;
    const { time } = fleet;
    this.register = new MemoryRegister(fleet.engine, time.now, this.sleep);
    this.register.cut(0);
    this.store = new SharedAuthStore({
      register: this.register,
      sealer: PLAIN,
      replica: name,
      pollMs: 1_000,
      now: time.now,
      monotonicNow: time.now,
      sleep: this.sleep,
      schedule: (ms, task) => time.schedule(ms, () => this.#alive(task)),
      log: createLogger({ level: 'silent' }),
    });
    this.#stopWatching = this.store.watch(() => undefined);
  }

  /** As a process that is stopped by SIGSTOP, or has ended. */
  readonly sleep = async (ms: number): Promise<void> => {
    const { time } = this.#fleet;
    await time.sleep(ms);
    if (this.isDead) return new Promise(() => undefined);
    while (this.#stoppedUntil > time.now()) await time.sleep(this.#stoppedUntil - time.now());
  };

  stop(ms: number): void {
    this.#stoppedUntil = this.#fleet.time.now() + ms;
  }

  kill(): void {
    this.isDead = true;
    this.#stopWatching();
    this.session?.release();
  }

  /** Refreshes whenever it may, until it dies. */
  async refreshForEver(pauseMs: number): Promise<void> {
    for (;;) {
      await this.sleep(pauseMs);
      try {
        this.session ??= await this.#login();
        await this.session.renew(this.session.login.accessToken, false);
        // A session refreshes ten times in ten minutes at most, and here it is always due.
        if (this.session.isUnwritten) continue;
        this.session.release();
        this.session = null;
      } catch {
        // It is tried again.
      }
    }
  }

  /** Registers until it has an identity. */
  async registerOnce(): Promise<void> {
    while (!this.identity) {
      try {
        const document = await this.store.load();
        this.session ??= await this.#login();
        const identity = new RegisteredIdentity(this.session, document?.identityRecord ?? null, {
          store: this.store,
          authApi: {
            baseUrl: 'http://auth',
            http: this.#http,
            now: this.#fleet.time.now,
            sleep: this.sleep,
          },
          log: createLogger({ level: 'silent' }),
          pauseMs: 60_000,
          version: '0',
          platform: 'test',
        });
        await identity.establish();
        this.identity = identity;
      } catch {
        await this.sleep(1_000);
      }
    }
  }

  readonly #http: HttpClient = async ({ url, body }) => {
    await this.sleep(1);
    return this.#fleet.backend.respond(url, body, this.sleep);
  };

  async #login(): Promise<ChatGptSession> {
    const { time } = this.#fleet;
    const document = await this.store.load();
    if (!document?.tokens) throw new Error('nobody is signed in');
    return new ChatGptSession(readChatGptLogin(document.tokens, document.lastRefresh), {
      store: this.store,
      now: time.now,
      monotonicNow: time.now,
      backendNow: time.now,
      schedule: (ms, task) => time.schedule(ms, () => this.#alive(task)),
      log: createLogger({ level: 'silent' }),
      oauth: () => ({
        tokenUrl: 'http://oauth/token',
        revokeUrl: '',
        clientId: '',
        http: this.#http,
      }),
    });
  }

  #alive(task: () => void): void {
    void this.sleep(0).then(task);
  }
}

/** An engine, a backend and some replicas, all in one virtual time. */
export class VirtualFleet {
  readonly time = new VirtualTime();
  readonly engine = new MemoryEngine();
  readonly backend = new VirtualBackend(this.time);
  replicas: Replica[] = [];

  async signIn(): Promise<void> {
    const store = new Replica(this, 'sign-in').store;
    const done = store.overwrite({
      auth_mode: 'chatgpt',
      tokens: { ...this.backend.issue(), account_id: ACCOUNT.accountId },
    });
    await this.time.pass(100);
    await done;
  }

  start(): Replica {
    const replica = new Replica(this, `replica-${randomUUID().slice(0, 4)}`);
    this.replicas.push(replica);
    return replica;
  }

  get living(): Replica[] {
    return this.replicas.filter(({ isDead }) => !isDead);
  }

  /** Refresh tokens that the row has ever held. */
  get stored(): Set<string> {
    const texts = this.engine.history.map((row) => row?.sealed ?? '{}');
    return new Set(texts.map((text) => String(JSON.parse(text).tokens?.refresh_token)));
  }
}

function json(status: number, body: object): TextResponse {
  return { status, headers: {}, retryAfterMs: null, text: JSON.stringify(body) };
}
