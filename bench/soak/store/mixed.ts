import { setTimeout as sleep } from 'node:timers/promises';
import type { TestScope } from '../../../test/helpers/program.ts';
import { Fleet, type Replica } from '../../../test/store/fleet.ts';
import {
  type Event,
  endingOfKilled,
  kill,
  TELL_MS,
  untilRefreshed,
} from '../../../test/store/kills.ts';
import { Postgres } from '../../../test/store/postgres.ts';
import { TcpProxy } from '../../../test/store/tcp-proxy.ts';

const REPLICAS = 3;
const TOKEN_SECONDS = 2;
const DUE_MS = 500;
/** So that a fifth of the faults come in the middle of a refresh, whose refresh token is spent. */
const RESPONSE_MS = 300;
/** Shorter than what has to pass before a refresh token is tried again, which is 60 s of a sidecar. */
const LONGEST_PAUSE_MS = 5_000;
const LONGEST_QUIET_MS = 4_000;
/** Longest time in which nothing goes on after a fault. */
const STUCK_MS = 120_000;

/** The database and its standby, and the wire by which the second follows the first. */
interface Servers {
  primary: Postgres;
  standby: Postgres;
  wire: TcpProxy;
}

/** What goes wrong, again and again, in no order. */
class Mixed {
  readonly #t: TestScope;
  readonly #fleet: Fleet;
  readonly #wires = new Map<Replica, TcpProxy[]>();
  readonly events: Event[] = [];
  #servers: Servers;

  private constructor(t: TestScope, fleet: Fleet, servers: Servers) {
    this.#t = t;
    this.#fleet = fleet;
    this.#servers = servers;
  }

  static async start(t: TestScope): Promise<Mixed> {
    const fleet = await Fleet.start(t, { accessTokenLifetimeSeconds: TOKEN_SECONDS });
    fleet.emulator.settings.refreshResponseDelayMs = RESPONSE_MS;
    const primary = fleet.postgres;
    const wire = await TcpProxy.start(t, primary.port);
    const standby = await Postgres.standbyOf(t, wire.port);
    await fleet.useServers(`${primary.url()}\n${standby.url()}`);
    const mixed = new Mixed(t, fleet, { primary, standby, wire });
    for (let i = 0; i < REPLICAS; i++) await mixed.#add();
    return mixed;
  }

  readonly faults: Record<string, () => Promise<void>> = {
    kill: async () => {
      await kill(this.#fleet, this.events);
      await this.#add();
    },
    stop: async () => {
      const { child } = this.#anyone();
      child.kill('SIGSTOP');
      await sleep(Math.random() * LONGEST_PAUSE_MS);
      child.kill('SIGCONT');
    },
    cut: async () => {
      const wires = this.#wires.get(this.#anyone()) ?? [];
      for (const wire of wires) wire.cut();
      await sleep(Math.random() * LONGEST_PAUSE_MS);
      for (const wire of wires) wire.join();
    },
    restart: async () => {
      const { primary } = this.#servers;
      await primary.stop(Math.random() < 0.5 ? 'fast' : 'immediate');
      await primary.launch();
    },
    failover: () => this.#failOver(),
    disconnect: async () => {
      const others = 'pid <> pg_backend_pid() AND datname = current_database()';
      await this.#servers.primary.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`,
      );
    },
    signIn: () => this.#fleet.signIn(),
    slowEndpoint: async () => this.#endpoint({ delayMs: 1_000 }),
    unavailableEndpoint: async () => this.#endpoint({ status: 503 }),
  };

  /** Resolves when the fleet has refreshed once more. */
  async recovered(): Promise<void> {
    const stuck = new AbortController();
    const late = sleep(STUCK_MS, undefined, { signal: stuck.signal }).then(() => {
      throw new Error(`no refresh for ${STUCK_MS} ms: ${this.#said()}`);
    });
    late.catch(() => undefined);
    const fleet = this.#fleet;
    await Promise.race([untilRefreshed(fleet, fleet.refreshed + 1, this.events), late]);
    stuck.abort();
  }

  async end(count: number) {
    const outcome = await endingOfKilled(this.#fleet, count, this.events);
    const writtenBack = this.#fleet.all.reduce((sum, replica) => sum + replica.writtenBack, 0);
    return { ...outcome, writtenBack };
  }

  async #add(): Promise<void> {
    const { primary, standby } = this.#servers;
    const ports = [primary.port, standby.port];
    const wires = await Promise.all(ports.map((port) => TcpProxy.start(this.#t, port)));
    const urls = wires.map(({ port }) => primary.url(port)).join('\n');
    const options = { refused: false, dueMs: DUE_MS, tellMs: TELL_MS };
    this.#wires.set(this.#fleet.add({ urls, ...options }), wires);
  }

  /** The standby misses what is written for a second, and takes the place of the primary all the same. */
  async #failOver(): Promise<void> {
    const { primary, standby, wire } = this.#servers;
    wire.cut();
    await sleep(1_000);
    await primary.stop('immediate');
    await standby.promote();
    const next = await TcpProxy.start(this.#t, standby.port);
    this.#servers = { primary: standby, standby: primary, wire: next };
    await this.recovered();
    await primary.follow(next.port);
  }

  #endpoint(fault: object): void {
    this.#fleet.emulator.addFault({ path: '/oauth/token', ...fault });
  }

  #anyone(): Replica {
    const { replicas } = this.#fleet;
    return replicas[Math.floor(Math.random() * replicas.length)] as Replica;
  }

  #said(): string {
    return this.#fleet.replicas.map(({ messages }) => [...messages].at(-1)).join('; ');
  }
}

/** Every fault at random, one after the other, for so long. */
export async function mix(t: TestScope, seconds: number) {
  const mixed = await Mixed.start(t);
  await mixed.recovered();
  const names = Object.keys(mixed.faults);
  const counts = Object.fromEntries(names.map((name) => [name, 0]));
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < seconds * 1000) {
    const name = names[Math.floor(Math.random() * names.length)] ?? '';
    await sleep(Math.random() * LONGEST_QUIET_MS);
    await mixed.faults[name]?.();
    await mixed.recovered();
    counts[name] = (counts[name] ?? 0) + 1;
    count++;
  }
  return { ...(await mixed.end(count)), ...counts };
}
