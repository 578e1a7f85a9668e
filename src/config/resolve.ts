import { isIP } from 'node:net';
import type { ValidateFunction } from 'ajv';
import { ConfigError } from '../base/errors.ts';
import { isLoopbackHost, parseHost } from '../base/host.ts';
import { isObject, type JsonObject } from '../base/json.ts';
import type { Config } from './config.generated.ts';
import { describeProblems } from './problems.ts';
import { validate as generated } from './validator.generated.ts';

export type { Config, RouteAuth, RouteRule } from './config.generated.ts';

/** Part of a configuration as a file, the environment or flags give it; not checked yet. */
export type PartialConfig = JsonObject;

// The code that Ajv writes has no types, and what the compiler infers from it is wrong.
const validate = generated as unknown as ValidateFunction<Config>;

/**
 * Merges the layers (later ones win), fills in the defaults and checks everything.
 * @throws ConfigError with one line that names the key and the remedy
 */
export function resolveConfig(...layers: PartialConfig[]): Config {
  const merged = layers.reduce((base, layer) => merge(base, layer), {});
  if (!validate(merged)) throw new ConfigError(describeProblems(validate.errors ?? []));
  const config: Config = merged;
  for (const [key, value] of Object.entries(config.upstream)) {
    if (/(Url|Issuer)$/.test(key) && typeof value === 'string') checkUrl(`upstream.${key}`, value);
  }
  config.listen.host = listenHost('listen', config.listen.host);
  config.admin.listen.host = listenHost('admin.listen', config.admin.listen.host);
  config.clients.allowedHosts.forEach(checkHost);
  config.clients.allowedOrigins.forEach(checkOrigin);
  const { proxy } = config.upstream;
  if (proxy !== null && proxy !== 'env') checkProxy(proxy);
  trimBaseUrls(config.upstream);
  return deepFreeze(config);
}

/**
 * Checks keys that depend on each other; they may stand in different layers.
 * @returns the same configuration
 * @throws ConfigError
 */
export function checkedTogether(config: Config): Config {
  const { form, policy } = config.agentIdentity;
  // Nothing else registers a runtime instance, so every request would silently carry a bearer.
  if (form === 'runtimeInstance' && policy !== 'chatgptAuth') {
    throw new ConfigError(
      'agentIdentity.form is "runtimeInstance", which a login has to register; set agentIdentity.policy to "chatgptAuth"',
    );
  }
  return config;
}

/** So that a path can be appended to each of them, and an issuer compared. */
function trimBaseUrls(upstream: { [key: string]: unknown }): void {
  for (const [key, value] of Object.entries(upstream)) {
    if (/(BaseUrl|Issuer)$/.test(key) && typeof value === 'string') {
      upstream[key] = value.replace(/\/+$/, '');
    }
  }
}

/** Keys whose value is the path of a file or a folder. */
const PATHS = [
  'codexHome',
  'listen.socket',
  'listen.tls.certFile',
  'listen.tls.keyFile',
  'listen.tls.clientCaFile',
  'admin.listen.socket',
  'admin.listen.tls.certFile',
  'admin.listen.tls.keyFile',
  'admin.listen.tls.clientCaFile',
  'upstream.caFile',
  'clients.tokensFile',
  'log.audit',
  'usage.file',
  'store.caFile',
  'store.keyFile',
];

/**
 * A copy of a checked layer with `change` applied to each path that it sets.
 * @throws ConfigError that names the key, with the message of what `change` throws
 */
export function mapPaths(layer: PartialConfig, change: (path: string) => string): PartialConfig {
  return mapStrings(layer, '', (key, value) => {
    if (!PATHS.includes(key)) return value;
    try {
      return change(value);
    } catch (error) {
      throw new ConfigError(`${key} ${(error as Error).message}`);
    }
  });
}

function mapStrings(
  layer: PartialConfig,
  prefix: string,
  change: (key: string, value: string) => string,
): PartialConfig {
  const mapped = Object.entries(layer).map(([name, value]): [string, unknown] => {
    const key = prefix + name;
    if (isObject(value)) return [name, mapStrings(value, `${key}.`, change)];
    return [name, typeof value === 'string' ? change(key, value) : value];
  });
  return Object.fromEntries(mapped);
}

export function dropUndefined(values: PartialConfig): PartialConfig {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

// A Map, because assigning a key named `__proto__` would set values that no check sees.
function merge(base: PartialConfig, layer: PartialConfig): PartialConfig {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(layer)) {
    const current = merged.get(key);
    merged.set(key, isObject(current) && isObject(value) ? merge(current, value) : clone(value));
  }
  return Object.fromEntries(merged);
}

function checkUrl(key: string, value: string): void {
  const parsed = URL.canParse(value) ? new URL(value) : null;
  if (!parsed || !/^https?:$/.test(parsed.protocol)) {
    throw new ConfigError(`${key} must be an https URL`);
  }
  if (parsed.protocol === 'http:' && !isLoopbackHost(parsed.hostname)) {
    throw new ConfigError(`${key} must use https; plain http is for loopback hosts only`);
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new ConfigError(`${key} must not hold a user, a password, a query or a fragment`);
  }
}

function checkProxy(value: string): void {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new ConfigError('upstream.proxy must be "env", null, or an http or https URL');
  }
  const { username, password } = new URL(value);
  if (username || password) {
    throw new ConfigError(
      'upstream.proxy must not hold a user or a password; leave it at "env" and set HTTPS_PROXY',
    );
  }
}

/** An address in brackets, as in a URL, is the address. */
function listenHost(key: string, host: string): string {
  const bare = /^\[(.+)\]$/.exec(host)?.[1] ?? host;
  if (isIP(bare) !== 0 || parseHost(host)?.port === null) return bare;
  throw new ConfigError(
    `${key}.host must be a host name or an address, without scheme, port or path; ${key}.port is for the port, and 0.0.0.0 is every address`,
  );
}

function checkHost(entry: string, index: number): void {
  if (parseHost(entry) !== null) return;
  throw new ConfigError(
    `clients.allowedHosts.${index} must be a host name or an address, with or without a port; no scheme, path or wildcard`,
  );
}

// What a browser sends: lower case, no default port, no path (RFC 6454, section 6.2).
function checkOrigin(entry: string, index: number): void {
  const isWeb = /^https?:/i.test(entry);
  const exact = isWeb
    ? URL.canParse(entry) && new URL(entry).origin === entry
    : /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d+)?$/.test(entry);
  if (exact && !entry.includes('*')) return;
  throw new ConfigError(
    `clients.allowedOrigins.${index} must be an exact origin such as https://ui.example, as a browser sends it: lower case, no default port, path or wildcard`,
  );
}

function clone<T>(value: T): T {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value;
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}
