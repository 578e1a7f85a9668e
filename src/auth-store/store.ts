import { SidecarError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { StopWatching } from '../files/watch.ts';
import type { AuthDocument } from './auth-document.ts';
import type { Place } from './stored-values.ts';

/** What {@link AuthStore.transact} hands to its work. */
export interface Transaction {
  /** The document as it is now; null when there is none. */
  current: AuthDocument | null;
  /**
   * Replaces some top-level fields, durably; the rest of the document stays as it is.
   * @param fits whether the change still belongs into the document as it is now; by default it does
   * @throws ChangedMeanwhile when one of them has been changed since `current` was read, or when the
   * change does not fit any more
   * @throws StoreUnavailable
   */
  write(change: JsonObject, fits?: (current: AuthDocument | null) => boolean): Promise<void>;
  /**
   * Says durably what the caller is about to ask of the backend. Call it right before the request.
   * @throws AnnouncementRefused when the request must not be made
   * @throws StoreUnavailable when nobody knows whether the others can see it; make no request then
   */
  announce(intent: Intent): Promise<Announcement>;
}

/** What a process is about to do that no other process may do at the same time. */
export type Intent =
  | {
      kind: 'refresh';
      /** The access token has expired or was refused, so there is nothing left to lose. */
      tokenIsOver: boolean;
    }
  | {
      kind: 'identity';
      /** Shortest time since the last registration of any process; 0 for a first one. */
      pauseMs: number;
    };

/**
 * How an announced attempt ended. `unsent`: no request left this machine. `refused`: the backend
 * refused for now. `over`: the login has ended. `uncertain`: the refresh token may be spent.
 */
export type AttemptEnd = 'unsent' | 'refused' | 'over' | 'uncertain' | 'registered' | 'failed';

export interface Announcement {
  /** Shows that the attempt goes on. Call it before each further request. */
  again(): Promise<void>;
  /** Never rejects: what could not be written is written later. */
  ended(how: AttemptEnd, code?: string | null): Promise<void>;
}

/** A request that must not be made, because of what some process has tried before. */
export class AnnouncementRefused extends Error {
  override readonly name = 'AnnouncementRefused';
  readonly how: 'over' | 'uncertain' | 'refused' | 'paused';
  /** When it makes sense to ask again. */
  readonly retryAfterMs: number;

  constructor(how: AnnouncementRefused['how'], message: string, retryAfterMs: number) {
    super(message);
    this.how = how;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A write was rejected: another process has changed the same fields since they were read. */
export class ChangedMeanwhile extends Error {
  override readonly name = 'ChangedMeanwhile';
}

/** The store cannot be asked now, or did not confirm a write; `message` says why and what to do. */
export class StoreUnavailable extends SidecarError {
  constructor(message: string, cause?: unknown) {
    super('AUTH_STORE_UNAVAILABLE', message, {
      retryAfterSeconds: 5,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** What status, metrics and `store status` show of a store. It holds no secret. */
export type StoreStatus = FileStoreStatus | SharedStoreStatus;

interface FileStoreStatus {
  kind: 'file';
  location: string;
  /** Why the file is used without a lock; null when it is not. */
  lastError: string | null;
}

export interface SharedStoreStatus {
  kind: 'postgres';
  location: string;
  reachable: boolean;
  /** RFC 3339; null before the first contact. */
  lastContactAt: string | null;
  lastError: string | null;
  version: number | null;
  login: number | null;
  rotation: number | null;
  /** First characters of the id of the key that sealed the row. */
  keyId: string | null;
  /** Whether a synchronous standby is connected; null when unknown. */
  synchronous: boolean | null;
  refresh: {
    state: 'idle' | 'underWay' | 'uncertain' | 'over';
    by: string | null;
    since: string | null;
    code: string | null;
    /** How long this process has seen it so. */
    ageSeconds: number;
  };
  /** How often this process restored what the database had lost. */
  writtenBack: number;
}

/** One operation of a store on its engine, for whoever counts it. */
export interface StoreOperation {
  operation: 'read' | 'write';
  outcome: 'ok' | 'conflict' | 'unavailable';
  seconds: number;
}

/** Where the credential is stored. The providers do not notice which one it is. */
export interface AuthStore {
  /** Names the store in messages, e.g. the path of the file. */
  readonly location: string;
  /** Pauses before an attempt to write tokens that could not be written; the last one repeats. */
  readonly writeRetriesMs: readonly number[];
  /**
   * How long a program that takes no part in transactions may need to write down what it was given,
   * such as Codex, which locks the file for its write alone; 0: there is no such program.
   */
  readonly lateWriterMs: number;
  /** How long a transaction waits for a refresh; a response that comes later still counts. */
  readonly refreshWaitMs: number;
  /**
   * null when nothing is stored.
   * @throws SidecarError AUTH_CREDENTIAL_INVALID when it cannot be read as one
   * @throws StoreUnavailable
   */
  load(): Promise<AuthDocument | null>;
  /**
   * Runs `work`, while no other process changes the document or once more when one did. Until it has
   * announced something, `work` can be run again.
   * @throws LockError when another process is at it for too long
   * @throws StoreUnavailable
   */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * The same for a registration, which may take minutes: it keeps out other registrations, and nobody
   * else. So fields that it does not write may change meanwhile.
   */
  register<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Replaces fields without looking at the others: repairs an unusable document. */
  overwrite(change: JsonObject): Promise<void>;
  /** Calls back after someone else may have changed the document since the last `load`. */
  watch(changed: () => void): StopWatching;
  status(): StoreStatus;
  /** Has each operation on an engine reported from now on. */
  observe(observer: (operation: StoreOperation) => void): void;
  /** Ends timers and connections; the store is not used afterwards. */
  close(): Promise<void>;
}

/** What people call the place of a stored credential. */
export function sourceOf(store: AuthStore): Place {
  return store.status().kind === 'file' ? 'auth.json' : 'the shared store';
}

/** For a store whose lock makes announcements needless. */
export const NO_ANNOUNCEMENT: Announcement = {
  again: async () => undefined,
  ended: async () => undefined,
};
