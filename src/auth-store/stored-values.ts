import { invalidCredential } from '../base/errors.ts';
import {
  isHeaderText,
  isSegmentId,
  isTaskId,
  NOT_HEADER_TEXT,
  NOT_SEGMENT_ID,
} from '../base/header-text.ts';
import { isObject, type JsonObject } from '../base/json.ts';
import { Secret } from '../base/secret.ts';

// Each field of a stored document is read as what it must be. All of them throw
// AUTH_CREDENTIAL_INVALID, which names the place of the document and the field.

/** What people call the place where a credential is kept. */
export type Place = 'auth.json' | 'the shared store';

/** A document, or an object in it. */
export interface StoredObject {
  values: JsonObject;
  place: Place;
  /** What stands before its fields' names: empty, or like `tokens.`. */
  path: string;
}

export function storedSecret(object: StoredObject, name: string): Secret | null {
  return secretOf(storedHeaderText(object, name));
}

export function secretOf(value: string | null): Secret | null {
  return value === null ? null : new Secret(value);
}

/** Trimmed. */
export function storedHeaderText(object: StoredObject, name: string): string | null {
  const value = storedText(object, name)?.trim() ?? null;
  if (value === null || isHeaderText(value)) return value;
  throw invalid(object, name, NOT_HEADER_TEXT);
}

export function storedSegmentId(object: StoredObject, name: string): string | null {
  const value = storedText(object, name);
  if (value === null || isSegmentId(value)) return value;
  throw invalid(object, name, NOT_SEGMENT_ID);
}

/** null also for one that cannot be sent, so that a new task is registered. */
export function storedTaskId(record: StoredObject): string | null {
  const value = storedText(record, 'task_id');
  return value !== null && isTaskId(value) ? value : null;
}

/** Seconds or milliseconds since the epoch, as other tools write it, count; anything else is none. */
export function storedTime(value: unknown): string | null {
  if (typeof value === 'string') return value.trim() === '' ? null : value;
  if (typeof value !== 'number') return null;
  const date = new Date(value < 1e11 ? value * 1000 : value);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

export function storedFlag(object: StoredObject, name: string): boolean {
  const value = object.values[name];
  if (isAbsent(value)) return false;
  if (typeof value !== 'boolean') throw invalid(object, name, 'must be true or false');
  return value;
}

/** null when absent or blank. */
export function storedText(object: StoredObject, name: string): string | null {
  const value = object.values[name];
  if (isAbsent(value)) return null;
  if (typeof value !== 'string') throw invalid(object, name, 'must be a string');
  return value.trim() === '' ? null : value;
}

/** An object in another one; null when it is absent. */
export function storedObject(object: StoredObject, name: string): StoredObject | null {
  const values = object.values[name];
  if (isAbsent(values)) return null;
  if (!isObject(values)) throw invalid(object, name, 'must be an object');
  return { values, place: object.place, path: `${object.path}${name}.` };
}

export function invalid({ place, path }: StoredObject, name: string, problem: string) {
  return invalidCredential(`${place} ${path}${name}`, problem);
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
