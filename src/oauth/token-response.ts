import { isHeaderText } from '../base/header-text.ts';
import { type JsonObject, parseJson, parseJsonObject, textAt } from '../base/json.ts';
import { Secret } from '../base/secret.ts';

/** What a refresh returned; a field that is null keeps its old value. */
export interface RefreshedTokens {
  idToken: Secret | null;
  accessToken: Secret | null;
  refreshToken: Secret | null;
  /** What is wrong with the response of the token endpoint, in words; null: nothing. */
  problem: string | null;
}

const FIELDS = ['id_token', 'access_token', 'refresh_token'];
const TOKEN_FIELD = /"(id_token|access_token|refresh_token)"\s*:\s*("(?:[^"\\]|\\.)*")/g;

/**
 * Reads a successful response of the token endpoint. The refresh token that it answers is spent, so
 * whatever can be used is: one unusable token does not cost the others, and a response that broke off
 * gives the tokens that arrived whole.
 * @returns null when it holds none
 */
export function readTokenResponse(text: string): RefreshedTokens | null {
  const whole = parseJsonObject(text);
  const fields = whole && FIELDS.some((name) => name in whole) ? whole : (tokensIn(text) ?? whole);
  if (!fields) return null;
  const unusable: string[] = [];
  // Both have to fit in a header and in auth.json; a refresh token travels in a body.
  const sendable = (name: string): Secret | null => {
    const value = trimmedAt(fields, name);
    if (value === null || isHeaderText(value)) return secret(value);
    unusable.push(name);
    return null;
  };
  const tokens = {
    idToken: sendable('id_token'),
    accessToken: sendable('access_token'),
    refreshToken: secret(trimmedAt(fields, 'refresh_token')),
  };
  return { ...tokens, problem: problemOf(whole !== null, unusable) };
}

function problemOf(isWhole: boolean, unusable: string[]): string | null {
  if (unusable.length > 0) {
    return `no header can carry its ${unusable.join(' and its ')}`;
  }
  return isWhole ? null : 'its response is not a whole JSON object';
}

/** The tokens in a text that is not a JSON object, such as the first part of one. */
function tokensIn(text: string): JsonObject | null {
  const found = Array.from(text.matchAll(TOKEN_FIELD), ([, name = '', value = '']) => [
    name,
    parseJson(value),
  ]);
  return found.length === 0 ? null : Object.fromEntries(found);
}

function trimmedAt(fields: JsonObject, name: string): string | null {
  return textAt(fields, name)?.trim() ?? null;
}

function secret(value: string | null): Secret | null {
  return value === null ? null : new Secret(value);
}
