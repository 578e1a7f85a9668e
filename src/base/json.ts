/** A JSON object whose fields have not been checked yet. */
export type JsonObject = { [key: string]: unknown };

/** Whether a parsed JSON value is an object; an array is not. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deeper than anything that this program reads; what walks the value recursively can rely on it. */
const MAX_DEPTH = 100;

/**
 * @returns undefined when `text` is not JSON, or nested deeper than 100 levels. The parser's own
 * message quotes the text, which may hold a secret, so it is dropped here.
 */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isDeeperThan(value, MAX_DEPTH) ? undefined : value;
  } catch {
    return undefined;
  }
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

/** null when `text` is not a JSON object. */
export function parseJsonObject(text: string): JsonObject | null {
  const value = parseJson(text);
  return isObject(value) ? value : null;
}

/** null when the field is absent, blank or not a string. */
export function textAt(object: JsonObject, name: string): string | null {
  const value = object[name];
  return typeof value === 'string' && value.trim() !== '' ? value : null;
}
