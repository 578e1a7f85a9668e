import type { ServerResponse } from 'node:http';
import { SidecarError } from '../base/errors.ts';
import type { ActivityDocument } from '../telemetry/activity.ts';
import type { ClientsEvent } from './clients.ts';
import type { SignInEvent } from './sign-in.ts';
import { isUsable, type StatusDocument } from './status.ts';

interface EventSources {
  status: () => StatusDocument;
  activity: () => ActivityDocument;
  clients: () => ClientsEvent;
  signIn: () => SignInEvent;
  /** Tries what is undone, like a health probe. */
  retryNow: () => Promise<void>;
  /** How many times another credential came into use. */
  credentialChanges: () => number;
  /** Runs `work` again and again; the result ends that. Default: timers. */
  every?: (ms: number, work: () => void) => () => void;
}

/** What moves all the time, beside the state: the `activity` event. */
export interface ActivityEvent
  extends Pick<
    StatusDocument,
    'uptimeSeconds' | 'connections' | 'requests' | 'upstream' | 'accountLimits'
  > {
  recent: ActivityDocument;
}

export const MAX_LISTENERS = 32;
const TICK_MS = 1_000;
/** Ticks without anything to say after which a comment keeps proxies from closing the stream. */
const QUIET_TICKS = 15;
/** Ticks that a listener may leave what it was sent unread. */
const PATIENCE_TICKS = 30;

interface Listener {
  response: ServerResponse;
  sent: (bytes: number) => void;
  blockedTicks: number;
  /** What it was told last, by event. */
  told: Map<string, string>;
  quietTicks: number;
}

interface Event {
  name: 'account/updated' | 'auth/status' | 'activity' | 'clients' | 'sign-in';
  /** Sent again only when this differs from the last time. */
  key: string;
  data: string;
}

/**
 * Clients that follow the sidecar. Every second, and when something was reported, the current state
 * is compared with what each of them was told last. So nothing queues for one that reads slowly, it
 * gets what holds when it reads again, and without listeners there is nothing to do at all.
 */
export class EventHub {
  readonly #sources: EventSources;
  readonly #listeners = new Set<Listener>();
  #stopTicking: (() => void) | null = null;
  #poked = false;
  #closed = false;

  constructor(sources: EventSources) {
    this.#sources = sources;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** @throws SidecarError when no more are taken */
  checkRoom(): void {
    if (this.#closed) {
      throw new SidecarError('AUTH_DRAINING', 'the sidecar is shutting down', {
        retryAfterSeconds: 1,
      });
    }
    if (this.#listeners.size < MAX_LISTENERS) return;
    throw new SidecarError(
      'AUTH_EVENTS_BUSY',
      `${MAX_LISTENERS} clients follow /auth/events already`,
      { retryAfterSeconds: 10 },
    );
  }

  /**
   * @param response with its head already written
   * @param sent is told how many bytes of events go out
   */
  add(response: ServerResponse, sent: (bytes: number) => void = () => undefined): void {
    const listener = { response, sent, blockedTicks: 0, told: new Map(), quietTicks: 0 };
    this.#listeners.add(listener);
    response.once('close', () => this.#remove(listener));
    response.on('drain', () => {
      listener.blockedTicks = 0;
      this.publishSoon();
    });
    const { every = repeat } = this.#sources;
    this.#stopTicking ??= every(TICK_MS, () => this.#tick());
    this.#tell(listener, this.#current());
  }

  /** Something may have changed; what has is sent before the next tick. */
  publishSoon(): void {
    if (this.#poked || this.#listeners.size === 0) return;
    this.#poked = true;
    // Whoever reported it may be in the middle of the change.
    setImmediate(() => {
      this.#poked = false;
      this.#publish();
    });
  }

  /** Says the last state and ends all streams; a drain does not wait for them. */
  close(): void {
    this.#closed = true;
    this.#publish();
    for (const listener of this.#listeners) {
      listener.response.end();
      // One that does not read stays open, and nothing may be written after the end.
      this.#remove(listener);
    }
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = null;
  }

  #tick(): void {
    if (!isUsable(this.#sources.status().status)) void this.#sources.retryNow();
    this.#publish();
    for (const listener of this.#listeners) this.#keepAlive(listener);
  }

  #publish(): void {
    if (this.#listeners.size === 0) return;
    const events = this.#current();
    for (const listener of this.#listeners) this.#tell(listener, events);
  }

  #tell(listener: Listener, events: readonly Event[]): void {
    for (const { name, key, data } of events) {
      if (listener.response.writableNeedDrain) return;
      if (listener.told.get(name) === key) continue;
      listener.told.set(name, key);
      listener.quietTicks = 0;
      this.#write(listener, `event: ${name}\ndata: ${data}\n\n`);
    }
  }

  #write({ response, sent }: Listener, text: string): void {
    response.write(text);
    sent(Buffer.byteLength(text));
  }

  #keepAlive(listener: Listener): void {
    const { response } = listener;
    if (response.writableNeedDrain) {
      if (++listener.blockedTicks > PATIENCE_TICKS) response.destroy();
    } else if (++listener.quietTicks >= QUIET_TICKS) {
      listener.quietTicks = 0;
      this.#write(listener, ':\n\n');
    }
  }

  #current(): Event[] {
    const status = this.#sources.status();
    const { uptimeSeconds, connections, requests, upstream, accountLimits, ...state } = status;
    const { authMode, planType, account } = status;
    const recent = this.#sources.activity();
    const moving = { connections, requests, upstream, accountLimits, recent };
    const activity: ActivityEvent = { uptimeSeconds, ...moving };
    const clients = JSON.stringify(this.#sources.clients());
    const signIn = JSON.stringify(this.#sources.signIn());
    return [
      {
        name: 'account/updated',
        key: JSON.stringify([this.#sources.credentialChanges(), authMode, planType, account?.id]),
        data: JSON.stringify({ authMode, planType }),
      },
      {
        name: 'auth/status',
        key: JSON.stringify([state, upstream.origin]),
        data: JSON.stringify(status),
      },
      { name: 'activity', key: JSON.stringify(moving), data: JSON.stringify(activity) },
      { name: 'clients', key: clients, data: clients },
      { name: 'sign-in', key: signIn, data: signIn },
    ];
  }
}

function repeat(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms).unref();
  return () => clearInterval(timer);
}
