import type { JsonObject } from '../base/json.ts';
import type { RowContent } from './register.ts';

/** How new each part of a document is. */
export type Counters = Pick<RowContent, 'login' | 'rotation' | 'registration'>;

/** A document with its counters. */
export interface Remembered extends Counters {
  /** null: signed out. */
  raw: JsonObject | null;
}

const TOKENS = ['tokens', 'last_refresh'];
const IDENTITY = ['agent_identity'];

/**
 * The document of a row, with those parts that this process knows to be newer: an engine that lost
 * its last writes, as at a failover, has gone back in time.
 * @returns null when the row is as new as the memory
 */
export function newest(memory: Remembered | null, row: Remembered): Remembered | null {
  if (!memory || memory.login < row.login) return null;
  if (memory.login > row.login) return memory;
  const tokens = memory.rotation > row.rotation;
  const identity = memory.registration > row.registration;
  if (!tokens && !identity) return null;
  const fields = [...(tokens ? TOKENS : []), ...(identity ? IDENTITY : [])];
  return {
    login: row.login,
    rotation: Math.max(memory.rotation, row.rotation),
    registration: Math.max(memory.registration, row.registration),
    raw: withFieldsOf(memory.raw ?? {}, row.raw ?? {}, fields),
  };
}

/** A change applied, with the counters that go with it. `undefined` removes a field. */
export function changed(
  before: Remembered | null,
  change: JsonObject,
  nowSeconds: number,
): Remembered {
  const { login = 0, rotation = 0, registration = 0, raw = null } = before ?? {};
  const kept = Object.entries({ ...raw, ...change }).filter(([, value]) => value !== undefined);
  const next = kept.length === 0 ? null : Object.fromEntries(kept);
  // Whoever signs in or out says what kind of credential there is from now on.
  if ('auth_mode' in change || !before) {
    // Newer than every earlier one, even if the database was restored from an old backup.
    return {
      raw: next,
      login: Math.max(login + 1, Math.floor(nowSeconds)),
      rotation: 0,
      registration: 0,
    };
  }
  return {
    raw: next,
    login,
    rotation: rotation + (TOKENS.some((field) => field in change) ? 1 : 0),
    registration: registration + (IDENTITY.some((field) => field in change) ? 1 : 0),
  };
}

/** Whether these top-level fields are the same in both. */
export function agree(
  a: JsonObject | null,
  b: JsonObject | null,
  fields: readonly string[],
): boolean {
  const text = (raw: JsonObject | null) => JSON.stringify(fields.map((name) => raw?.[name]));
  return text(a) === text(b);
}

function withFieldsOf(from: JsonObject, to: JsonObject, fields: readonly string[]): JsonObject {
  const entries = Object.entries(to).filter(([name]) => !fields.includes(name));
  const taken = Object.entries(from).filter(([name]) => fields.includes(name));
  return Object.fromEntries([...entries, ...taken]);
}
