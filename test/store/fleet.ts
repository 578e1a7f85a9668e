import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import type { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { isObject } from '../../src/base/json.ts';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/index.ts';
import type { EmulatorRecord } from '../../src/emulator/records.ts';
import { makeFolder, type TestScope } from '../helpers/program.ts';
import { openStore } from './open-store.ts';
import { Postgres } from './postgres.ts';
import type { ReplicaOptions, ReplicaOrder, ReplicaReport, Sighting } from './replica-process.ts';

const PROGRAM = fileURLToPath(new URL('./replica-process.js', import.meta.url));
const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };

/** A process of a fleet, with what it has reported. */
export class Replica {
  readonly name: string;
  readonly child: ChildProcess;
  readonly counts = {
    ready: 0,
    refreshed: 0,
    takenOver: 0,
    failed: 0,
    signedOut: 0,
    over: 0,
    stopped: 0,
    saw: 0,
  };
  readonly messages = new Set<string>();
  /** What it has known of attempts, oldest first. */
  readonly sightings: Sighting[] = [];
  /** How often it has restored what the database had lost; known once it has stopped in order. */
  writtenBack = 0;
  readonly exited: Promise<unknown>;

  constructor(options: ReplicaOptions, onReport: () => void) {
    this.name = options.replica ?? '';
    this.child = fork(PROGRAM, [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // tap's hooks would double the time of a start.
      env: { PATH: process.env.PATH },
    });
    this.exited = once(this.child, 'exit');
    this.child.on('message', (report) => {
      this.#note(report as ReplicaReport);
      onReport();
    });
  }

  #note(report: ReplicaReport): void {
    this.counts[report.did]++;
    if (report.did === 'saw') this.sightings.push(report.sighting);
    else if (report.did === 'stopped') this.writtenBack = report.writtenBack;
    else if ('message' in report) this.messages.add(report.message);
  }

  tell(order: ReplicaOrder): void {
    if (this.child.connected) this.child.send(order);
  }

  /** Resolves when the process stands still. */
  async halted(): Promise<void> {
    // No event says so.
    while (!(await readFile(`/proc/${this.child.pid}/stat`, 'utf8')).includes(') T ')) {
      await sleep(10);
    }
  }

  /** Stops in order: what is under way is waited for. */
  async stop(): Promise<void> {
    this.tell('stop');
    await this.exited;
  }
}

/** A login in a database, an emulated backend, and processes that share it. */
export class Fleet {
  readonly t: TestScope;
  readonly postgres: Postgres;
  readonly emulator: Emulator;
  readonly keyFile: string;
  #store: SharedAuthStore;
  readonly replicas: Replica[] = [];
  /** Processes that are gone. */
  readonly past: Replica[] = [];
  #waiters: (() => void)[] = [];

  private constructor(t: TestScope, postgres: Postgres, emulator: Emulator, keyFile: string) {
    this.t = t;
    this.postgres = postgres;
    this.emulator = emulator;
    this.keyFile = keyFile;
    this.#store = this.#openStore(postgres.url());
    t.teardown(async () => {
      for (const { child } of this.replicas) child.kill('SIGKILL');
      await this.#store.close();
      await emulator.close();
    });
  }

  /** @param options of the emulated backend */
  static async start(t: TestScope, options: EmulatorOptions = {}): Promise<Fleet> {
    const postgres = await Postgres.start(t);
    const emulator = await startEmulator(options);
    emulator.settings.revokeFamilyOnReuse = true;
    const keyFile = join(await makeFolder(t), 'key.json');
    await writeFile(keyFile, await KeyRing.generate(), { mode: 0o600 });
    const fleet = new Fleet(t, postgres, emulator, keyFile);
    await fleet.signIn();
    return fleet;
  }

  /** The store as an operator uses it. */
  get store(): SharedAuthStore {
    return this.#store;
  }

  /** From now on the operator uses these servers, one a line. */
  async useServers(urls: string): Promise<void> {
    await this.#store.close();
    this.#store = this.#openStore(urls);
  }

  /** Every process that was ever part of it. */
  get all(): Replica[] {
    return [...this.replicas, ...this.past];
  }

  /** How often a replica found that the login has ended. */
  get over(): number {
    return this.all.reduce((sum, { counts }) => sum + counts.over, 0);
  }

  /** A new login in the store, as `login` writes it. */
  async signIn(): Promise<void> {
    const { authJson } = this.emulator.issueLogin(ACCOUNT);
    await this.store.overwrite(authJson as never);
  }

  add(options: Partial<ReplicaOptions> = {}): Replica {
    const name = `replica-${this.replicas.length + this.past.length}`;
    const replica = new Replica(
      {
        urls: this.postgres.url(),
        keyFile: this.keyFile,
        replica: name,
        tokenUrl: `${this.emulator.upstream.oauthTokenUrl}?by=${name}`,
        ...options,
      },
      () => this.#wake(),
    );
    this.replicas.push(replica);
    return replica;
  }

  /** Takes a process out that has ended, or will. */
  remove(replica: Replica): void {
    this.replicas.splice(this.replicas.indexOf(replica), 1);
    this.past.push(replica);
  }

  /** How often the fleet has refreshed. */
  get refreshed(): number {
    return this.all.reduce((sum, { counts }) => sum + counts.refreshed, 0);
  }

  /** Refresh tokens that were sent more than once. */
  get reused(): string[] {
    const uses = [...this.emulator.counts().refreshUses];
    return uses.filter(([, count]) => count > 1).map(([token]) => token);
  }

  /** Resolves when so many more refreshes have been made. */
  async untilMore(refreshes: number): Promise<void> {
    const enough = this.refreshed + refreshes;
    await this.until(() => this.refreshed >= enough);
  }

  /** Resolves with the next report after which it holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Who sent a refresh token, in order. */
  sendersOf(refreshToken: string): string[] {
    return this.emulator.records
      .filter(({ body }) => isObject(body) && body.refresh_token === refreshToken)
      .map(({ path }) => path.split('?by=')[1] ?? '');
  }

  /** The replica whose refresh arrives next. */
  async nextHolder(): Promise<Replica> {
    const { seq = 0 } = this.emulator.records.at(-1) ?? {};
    const isNext = (record: EmulatorRecord) =>
      record.seq > seq && record.path.startsWith('/oauth/token');
    const { path } = await this.emulator.waitFor(isNext);
    const holder = this.replicas.find(({ name }) => path.endsWith(`?by=${name}`));
    if (!holder) throw new Error(`nobody is called as in ${path}`);
    return holder;
  }

  /** How often the row says that the tokens were replaced since the last sign-in. */
  async rotation(): Promise<number> {
    const [row] = await this.postgres.sql('SELECT rotation FROM codex_auth_sidecar.login');
    return Number(row?.rotation);
  }

  async stop(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  #openStore(urls: string): SharedAuthStore {
    return openStore({ urls, keyFile: this.keyFile, replica: 'operator' });
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
