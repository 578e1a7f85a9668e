import { ConfigError } from '../base/errors.ts';
import { isObject, parseJson } from '../base/json.ts';
import { jsonProblem } from '../base/json-fault.ts';
import { nearestName } from '../base/nearest-name.ts';
import type { Secret } from '../base/secret.ts';
import { KINDS } from './keys.generated.ts';
import type { PartialConfig } from './resolve.ts';

/** An environment whose credentials cannot be printed. */
export type OwnEnvironment = Record<string, string | Secret | undefined>;

const PREFIX = 'SIDECAR_';

/** Shorter names of some keys, beside those that follow from {@link variableOf}. */
const SHORT: Readonly<Record<string, string>> = {
  SIDECAR_HOST: 'listen.host',
  SIDECAR_PORT: 'listen.port',
  SIDECAR_SOCKET: 'listen.socket',
  SIDECAR_STORE: 'store.kind',
  SIDECAR_CHATGPT_BASE_URL: 'upstream.chatgptBaseUrl',
  SIDECAR_CLIENT_TOKENS_FILE: 'clients.tokensFile',
};

/**
 * Names that Codex obeys too, so they may be meant for it alone: one of ours goes before them. If two
 * of them set the same key, the first in this list counts.
 */
const OF_CODEX: Readonly<Record<string, string>> = {
  CODEX_HOME: 'codexHome',
  CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL: 'upstream.authApiBaseUrl',
  CODEX_AUTHAPI_BASE_URL: 'upstream.authApiBaseUrl',
  CODEX_AGENT_IDENTITY_JWKS_BASE_URL: 'upstream.jwksBaseUrl',
  CODEX_REFRESH_TOKEN_URL_OVERRIDE: 'upstream.oauthTokenUrl',
};

/** Variables of ours that set no key. */
const OTHERS = ['SIDECAR_CONFIG', 'SIDECAR_STORE_URL_FILE'];

/** The name by rule: `listen.socketMode` is set by `SIDECAR_LISTEN_SOCKET_MODE`. */
export function variableOf(key: string): string {
  const words = key.replaceAll('.', '_').replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_');
  return PREFIX + words.toUpperCase();
}

/** Every variable that sets a key; the first one that is set counts. */
export function variablesOf(key: string): string[] {
  const named = [SHORT, OF_CODEX].flatMap((list) =>
    Object.keys(list).filter((name) => list[name] === key),
  );
  return [variableOf(key), ...named];
}

/** What begins with our prefix, which is never meant for another program. */
const OURS = Object.keys(KINDS)
  .flatMap(variablesOf)
  .concat(OTHERS)
  .filter((name) => name.startsWith(PREFIX));

/**
 * The configuration layer that the environment sets.
 * @throws ConfigError when two variables of ours set one key to different values, or one that holds
 *   JSON cannot be read
 */
export function environmentLayer(env: OwnEnvironment): PartialConfig {
  const layer: PartialConfig = {};
  for (const [key, { name, value }] of setVariables(env)) {
    setAt(layer, key.split('.'), typed(key, name, value));
  }
  return layer;
}

/**
 * Adds the name of the variable to a message that begins with a key, if the value comes from the
 * environment.
 * @param over the layers that override the environment
 */
export function nameVariable(message: string, env: OwnEnvironment, over: PartialConfig): string {
  // Within a list or a section that is given as JSON, the message begins with a longer key.
  const [about = ''] = /^[\w.]+/.exec(message) ?? [];
  for (const [key, { name }] of setVariables(env)) {
    const isAbout = about === key || about.startsWith(`${key}.`);
    if (isAbout && valueAt(over, key) === undefined) {
      return `${name} (${about})${message.slice(about.length)}`;
    }
  }
  return message;
}

/** The keys that the environment sets, each with the name of its variable. */
export function variablesInUse(env: OwnEnvironment): Map<string, string> {
  return new Map([...setVariables(env)].map(([key, { name }]) => [key, name]));
}

/** One line for each variable that looks like one of ours but is unknown. */
export function unknownVariables(env: OwnEnvironment): string[] {
  const bare = (name: string) => name.slice(PREFIX.length);
  const strange = Object.keys(env).filter(
    (name) => name.startsWith(PREFIX) && !OURS.includes(name),
  );
  return strange.map((name) => {
    const near = nearestName(bare(name), OURS.map(bare));
    const hint =
      near === null
        ? `the key listen.port is set by ${variableOf('listen.port')}, and so on`
        : `did you mean ${PREFIX}${near}?`;
    return `the environment variable ${name} is not known and sets nothing; ${hint}`;
  });
}

interface SetVariable {
  name: string;
  value: string;
}

/** In the order of the keys, so that a section comes before what is in it. */
function setVariables(env: OwnEnvironment): Map<string, SetVariable> {
  const found = new Map<string, SetVariable>();
  for (const key of Object.keys(KINDS)) {
    const set = variablesOf(key)
      .map((name) => ({ name, value: trimmed(env[name]) }))
      .filter(({ value }) => value !== '');
    const [first, ...others] = set;
    if (!first) continue;
    const rival = others.find(
      ({ name, value }) => name.startsWith(PREFIX) && value !== first.value,
    );
    if (rival) {
      throw new ConfigError(
        `${first.name} and ${rival.name} both set ${key}, to different values; unset one`,
      );
    }
    found.set(key, first);
  }
  return found;
}

function trimmed(given: string | Secret | undefined): string {
  return typeof given === 'string' ? given.trim() : '';
}

/** What the key takes: a number, `true`, `false`, `null`, JSON for a list or a section, else a text. */
function typed(key: string, name: string, value: string): unknown {
  const kinds = KINDS[key] ?? [];
  if (value === 'null' && kinds.includes('null')) return null;
  if (/^(true|false)$/.test(value) && kinds.includes('boolean')) return value === 'true';
  if (/^-?\d+$/.test(value) && kinds.includes('integer')) return Number(value);
  if (!kinds.includes('array') && !kinds.includes('object')) return value;
  const parsed = parseJson(value);
  if (parsed !== undefined) return parsed;
  throw new ConfigError(`${name} (${key}) is not valid JSON, ${jsonProblem(value)}`);
}

function setAt(layer: PartialConfig, [name = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    layer[name] = value;
    return;
  }
  const inner = layer[name];
  const section = isObject(inner) ? inner : {};
  layer[name] = section;
  setAt(section, rest, value);
}

/** undefined where the layer does not set the key. */
export function valueAt(layer: PartialConfig, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), layer);
}
