import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { TUNNEL_LIMITS, Tunnel } from './tunnel.ts';

const LOOK_EVERY_MS = 250;

/** The WebSockets that are open, and their part of a shutdown. */
export class OpenTunnels {
  readonly #now: Clock;
  readonly #open = new Set<Tunnel>();
  #looking: NodeJS.Timeout | null = null;

  constructor(now: Clock) {
    this.#now = now;
  }

  /** See {@link Tunnel}. */
  open(client: Duplex, upstream: Duplex, early: readonly Buffer[]): Tunnel {
    const tunnel = new Tunnel(client, upstream, early, this.#now);
    this.#open.add(tunnel);
    void tunnel.ended.then(() => this.#open.delete(tunnel));
    return tunnel;
  }

  /** From now on whichever is idle, or becomes it, is told that the sidecar goes away. */
  drain(): void {
    const look = () => {
      for (const tunnel of this.#open) if (tunnel.idle) tunnel.leave();
    };
    look();
    this.#looking ??= setInterval(look, LOOK_EVERY_MS).unref();
  }

  /** Tells all that are left, and gives them a moment to close. */
  async leave(): Promise<void> {
    clearInterval(this.#looking ?? undefined);
    const open = [...this.#open];
    if (open.length === 0) return;
    for (const tunnel of open) tunnel.leave();
    const patience = new AbortController();
    const limit = sleep(TUNNEL_LIMITS.closeMs, undefined, { signal: patience.signal });
    await Promise.race([Promise.all(open.map(({ ended }) => ended)), limit.catch(() => undefined)]);
    patience.abort();
  }
}
