import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import type { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { isObject } from '../../src/base/json.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { EmulatorRecord } from '../../src/emulator/records.ts';
import { makeFolder, type TestScope } from '../helpers/program.ts';
import { openStore } from './open-store.ts';
import { Postgres } from './postgres.ts';
import type { ReplicaOptions, ReplicaReport } from './replica-process.ts';

const PROGRAM = fileURLToPath(new URL('./replica-process.js', import.meta.url));
const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };

/** A process of a fleet, with what it has reported. */
export class Replica {
  readonly name: string;
  readonly child: ChildProcess;
  readonly counts = { ready: 0, refreshed: 0, takenOver: 0, failed: 0, over: 0, stopped: 0 };
  readonly messages = new Set<string>();
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
      const { did, ...rest } = report as ReplicaReport;
      this.counts[did]++;
      if ('message' in rest) this.messages.add(rest.message);
      onReport();
    });
  }

  /** Stops in order: what is under way is waited for. */
  async stop(): Promise<void> {
    if (this.child.connected) this.child.send('stop');
    await this.exited;
  }
}

/** A login in a database, an emulated backend, and processes that share it. */
export class Fleet {
  readonly t: TestScope;
  readonly postgres: Postgres;
  readonly emulator: Emulator;
  readonly keyFile: string;
  readonly store: SharedAuthStore;
  readonly replicas: Replica[] = [];
  /** Processes that are gone. */
  readonly past: Replica[] = [];
  #waiters: (() => void)[] = [];

  private constructor(t: TestScope, postgres: Postgres, emulator: Emulator, keyFile: string) {
    this.t = t;
    this.postgres = postgres;
    this.emulator = emulator;
    this.keyFile = keyFile;
    this.store = openStore({ urls: postgres.url(), keyFile, replica: 'operator' });
    t.teardown(async () => {
      for (const { child } of this.replicas) child.kill('SIGKILL');
      await this.store.close();
      await emulator.close();
    });
  }

  static async start(t: TestScope): Promise<Fleet> {
    const postgres = await Postgres.start(t);
    const emulator = await startEmulator();
    emulator.settings.revokeFamilyOnReuse = true;
    const keyFile = join(await makeFolder(t), 'key.json');
    await writeFile(keyFile, await KeyRing.generate(), { mode: 0o600 });
    const fleet = new Fleet(t, postgres, emulator, keyFile);
    await fleet.signIn();
    return fleet;
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
    return [...this.replicas, ...this.past].reduce((sum, { counts }) => sum + counts.refreshed, 0);
  }

  /** Refresh tokens that were sent more than once. */
  get reused(): string[] {
    const uses = [...this.emulator.counts().refreshUses];
    return uses.filter(([, count]) => count > 1).map(([token]) => token);
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

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
