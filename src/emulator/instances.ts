import type { EmulatedAccount, IdSource } from './accounts.ts';

/** Whether a runtime instance still counts, or how its end is reported. */
type InstanceState = 'live' | 'gone' | 'revoked';

/** A registered runtime instance, the second form of Agent Identity. */
export interface Instance {
  readonly instanceId: string;
  readonly hostId: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKeySsh: string;
  readonly account: EmulatedAccount;
  /** Ids of its assertions so far; each is good for one request. */
  readonly usedIds: Set<string>;
  state: InstanceState;
}

/** What a registration asks for. */
export interface InstanceOrder {
  idempotencyKey: string;
  publicKeySsh: string;
  installationId: string;
  account: EmulatedAccount;
  /** The whole request; the same key with another one is a conflict. */
  request: string;
}

/** The runtime instances of one emulator. */
export class InstanceStore {
  readonly #instances = new Map<string, Instance>();
  /** By idempotency key. */
  readonly #orders = new Map<string, { request: string; instance: Instance }>();
  readonly #hosts = new Map<string, string>();
  readonly #nextId: IdSource;

  constructor(nextId: IdSource) {
    this.#nextId = nextId;
  }

  get count(): number {
    return this.#instances.size;
  }

  find(instanceId: string): Instance | null {
    return this.#instances.get(instanceId) ?? null;
  }

  /** @returns null on a conflict: another request with this idempotency key, or a known public key */
  register(order: InstanceOrder): Instance | null {
    const { idempotencyKey, publicKeySsh, request, account } = order;
    const earlier = this.#orders.get(idempotencyKey);
    if (earlier) return earlier.request === request ? earlier.instance : null;
    const known = [...this.#instances.values()];
    if (known.some((instance) => instance.publicKeySsh === publicKeySsh)) return null;
    const instance: Instance = {
      // The odd characters catch a client that takes it for more than an opaque text.
      instanceId: this.#nextId('runtime-instance/+='),
      hostId: this.#hostOf(order),
      publicKeySsh,
      account,
      usedIds: new Set(),
      state: 'live',
    };
    this.#instances.set(instance.instanceId, instance);
    this.#orders.set(idempotencyKey, { request, instance });
    return instance;
  }

  /** Throws when the instance is unknown. */
  end(instanceId: string, how: Exclude<InstanceState, 'live'>): void {
    const instance = this.find(instanceId);
    if (!instance) throw new Error('runtime_instance_id names no instance of this emulator');
    instance.state = how;
  }

  #hostOf({ installationId, account }: InstanceOrder): string {
    const place = `${account.accountId} ${installationId}`;
    const known = this.#hosts.get(place) ?? this.#nextId('agent-host-');
    this.#hosts.set(place, known);
    return known;
  }
}
