import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MonotonicClock } from '../../base/clock.ts';
import { OpenList } from '../../base/open-list.ts';
import { GOING_AWAY, TUNNEL_LIMITS, Tunnel, type TunnelWatch } from './tunnel.ts';

const CHECK_EVERY_MS = 250;

/** The open WebSockets, and their part in a shutdown. */
export class OpenTunnels {
  readonly #monotonicNow: MonotonicClock;
  readonly #open = new OpenList<Tunnel>();
  #checking: NodeJS.Timeout | null = null;

  constructor(monotonicNow: MonotonicClock) {
    this.#monotonicNow = monotonicNow;
  }

  /** See {@link Tunnel}. */
  open(client: Duplex, upstream: Duplex, early: readonly Buffer[], watch: TunnelWatch): Tunnel {
    const tunnel = new Tunnel(client, upstream, early, this.#monotonicNow, watch);
    const place = this.#open.add(tunnel);
    void tunnel.ended.then(() => this.#open.remove(place));
    return tunnel;
  }

  /** From now on every tunnel that is idle, or becomes idle, is told that the sidecar goes away. */
  drain(): void {
    const check = () => {
      for (const tunnel of this.#open.items()) if (tunnel.idle) tunnel.close(GOING_AWAY);
    };
    check();
    this.#checking ??= setInterval(check, CHECK_EVERY_MS).unref();
  }

  /** Tells all remaining tunnels, and gives them a moment to close. */
  async sayGoingAway(): Promise<void> {
    clearInterval(this.#checking ?? undefined);
    const open = this.#open.items();
    if (open.length === 0) return;
    for (const tunnel of open) tunnel.close(GOING_AWAY);
    const patience = new AbortController();
    const limit = sleep(TUNNEL_LIMITS.closeMs, undefined, { signal: patience.signal });
    await Promise.race([Promise.all(open.map(({ ended }) => ended)), limit.catch(() => undefined)]);
    patience.abort();
  }
}
