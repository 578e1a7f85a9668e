import { invalidCredential } from '../base/errors.ts';
import {
  isHeaderText,
  isSegmentId,
  isTaskId,
  NOT_HEADER_TEXT,
  NOT_SEGMENT_ID,
} from '../base/header-text.ts';
import type { JsonObject } from '../base/json.ts';
import { Secret } from '../base/secret.ts';

// The fields of `auth.json`, each read as what it must be. All of them throw AUTH_CREDENTIAL_INVALID,
// which names the field; `prefix` is the path in front of it.

export function storedSecret(object: JsonObject, name: string, prefix = ''): Secret | null {
  return secretOf(storedHeaderText(object, name, prefix));
}

export function secretOf(value: string | null): Secret | null {
  return value === null ? null : new Secret(value);
}

/** Trimmed. */
export function storedHeaderText(object: JsonObject, name: string, prefix = ''): string | null {
  const value = storedText(object, name, prefix)?.trim() ?? null;
  if (value === null || isHeaderText(value)) return value;
  throw invalid(prefix + name, NOT_HEADER_TEXT);
}

export function storedSegmentId(object: JsonObject, name: string, prefix = ''): string | null {
  const value = storedText(object, name, prefix);
  if (value === null || isSegmentId(value)) return value;
  throw invalid(prefix + name, NOT_SEGMENT_ID);
}

/** null also for one that cannot be sent, so that a new task is registered. */
export function storedTaskId(record: JsonObject): string | null {
  const value = storedText(record, 'task_id', 'agent_identity.');
  return value !== null && isTaskId(value) ? value : null;
}

/** Seconds or milliseconds since the epoch, as other tools write it, count; anything else is none. */
export function storedTime(value: unknown): string | null {
  if (typeof value === 'string') return value.trim() === '' ? null : value;
  if (typeof value !== 'number') return null;
  const date = new Date(value < 1e11 ? value * 1000 : value);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

export function storedFlag(object: JsonObject, name: string, prefix: string): boolean {
  const value = object[name];
  if (isAbsent(value)) return false;
  if (typeof value !== 'boolean') throw invalid(prefix + name, 'must be true or false');
  return value;
}

/** null when absent or blank. */
export function storedText(object: JsonObject, name: string, prefix = ''): string | null {
  const value = object[name];
  if (isAbsent(value)) return null;
  if (typeof value !== 'string') throw invalid(prefix + name, 'must be a string');
  return value.trim() === '' ? null : value;
}

export function invalid(field: string, problem: string) {
  return invalidCredential(`auth.json ${field}`, problem);
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
