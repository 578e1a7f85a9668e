import type { JsonObject } from '../base/json.ts';

/** What one row of a register holds. */
export interface RowContent {
  /** Grows with every sign-in and sign-out. */
  login: number;
  /** Grows with every new token set of this login. */
  rotation: number;
  /** Grows with every change of the identity record. */
  registration: number;
  /** What is under way, by kind; foreign, so it is checked where it is read. */
  attempts: JsonObject;
  /** The sealed document; null: signed out. */
  sealed: string | null;
}

/** Tells one write from every other, even where an engine went back and counts anew. */
export interface RowStamp {
  version: number;
  writeId: string;
}

export interface Row extends RowContent, RowStamp {
  writtenBy: string;
  /** RFC 3339, on the clock of the engine. For people: nothing is decided by it. */
  writtenAt: string;
}

export interface NewRow extends RowContent {
  /** A new UUID for each write. */
  writeId: string;
  writtenBy: string;
}

/**
 * An engine: one versioned row with compare-and-swap. Whatever sidecars agree on is built of these
 * two operations, so another engine needs nothing else.
 */
export interface Register {
  /** Names the place in messages; never a user or a password. */
  readonly location: string;
  /** How long the engine has been reached without a break; 0 when it cannot be reached. */
  readonly connectedForMs: number;
  /** Whether a write is confirmed by a second machine; null when unknown. */
  readonly synchronous: boolean | null;
  /**
   * @param known `same` is the response when the row is still this one
   * @returns null when there is no row
   * @throws StoreUnavailable
   */
  read(known: RowStamp | null): Promise<Row | 'same' | null>;
  /**
   * @param expected the row to replace; null: there must be none
   * @returns the version written, which is durable; null: somebody else was first
   * @throws StoreUnavailable when it is not known whether the row was written, or will be
   */
  replace(expected: RowStamp | null, next: NewRow): Promise<number | null>;
  close(): Promise<void>;
}
