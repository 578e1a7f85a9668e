import { nearestName } from '../base/nearest-name.ts';
import type { Secret } from '../base/secret.ts';
import type { PartialConfig } from './resolve.ts';

/** An environment whose credentials cannot be printed. */
export type OwnEnvironment = Record<string, string | Secret | undefined>;

/** Variables that set a key. If two set the same key, the first in this list counts. */
const VARIABLES: Readonly<Record<string, string>> = {
  SIDECAR_HOST: 'listen.host',
  SIDECAR_PORT: 'listen.port',
  SIDECAR_SOCKET: 'listen.socket',
  CODEX_HOME: 'codexHome',
  SIDECAR_STORE: 'store.kind',
  SIDECAR_STORE_NAME: 'store.name',
  SIDECAR_STORE_KEY_FILE: 'store.keyFile',
  SIDECAR_AGENT_IDENTITY_POLICY: 'agentIdentity.policy',
  SIDECAR_CHATGPT_BASE_URL: 'upstream.chatgptBaseUrl',
  CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL: 'upstream.authApiBaseUrl',
  CODEX_AUTHAPI_BASE_URL: 'upstream.authApiBaseUrl',
  CODEX_AGENT_IDENTITY_JWKS_BASE_URL: 'upstream.jwksBaseUrl',
  CODEX_REFRESH_TOKEN_URL_OVERRIDE: 'upstream.oauthTokenUrl',
  SIDECAR_CLIENT_TOKENS_FILE: 'clients.tokensFile',
  SIDECAR_LOG_LEVEL: 'log.level',
};

const KNOWN = ['SIDECAR_CONFIG', ...Object.keys(VARIABLES), 'SIDECAR_STORE_URL_FILE'].filter(
  (name) => name.startsWith('SIDECAR_'),
);

/** The configuration layer that the environment sets. */
export function environmentLayer(env: OwnEnvironment): PartialConfig {
  const layer: PartialConfig = {};
  for (const [key, { value }] of setVariables(env)) {
    const [section = '', inner] = key.split('.');
    if (inner === undefined) {
      layer[section] = value;
    } else {
      layer[section] = { ...(layer[section] as object | undefined), [inner]: typed(key, value) };
    }
  }
  return layer;
}

/**
 * Adds the name of the variable to a message that begins with a key, if the value comes from the
 * environment.
 * @param over the layers that override the environment
 */
export function nameVariable(message: string, env: OwnEnvironment, over: PartialConfig): string {
  for (const [key, { name }] of setVariables(env)) {
    if (message.startsWith(`${key} `) && valueAt(over, key) === undefined) {
      return `${name} (${key})${message.slice(key.length)}`;
    }
  }
  return message;
}

/** One line for each variable that looks like one of ours but is unknown. */
export function unknownVariables(env: OwnEnvironment): string[] {
  const strange = Object.keys(env).filter(
    (name) => name.startsWith('SIDECAR_') && !KNOWN.includes(name),
  );
  return strange.map((name) => {
    const near = nearestName(name, KNOWN);
    const hint = near === null ? `known are ${KNOWN.join(', ')}` : `did you mean ${near}?`;
    return `the environment variable ${name} is not known and sets nothing; ${hint}`;
  });
}

function setVariables(env: OwnEnvironment): Map<string, { name: string; value: string }> {
  const found = new Map<string, { name: string; value: string }>();
  for (const [name, key] of Object.entries(VARIABLES)) {
    const given = env[name];
    const value = typeof given === 'string' ? given.trim() : '';
    if (value !== '' && !found.has(key)) found.set(key, { name, value });
  }
  return found;
}

function typed(key: string, value: string): string | number {
  return key === 'listen.port' && /^\d+$/.test(value) ? Number(value) : value;
}

function valueAt(layer: PartialConfig, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>((value, name) => (value as PartialConfig | undefined)?.[name], layer);
}
