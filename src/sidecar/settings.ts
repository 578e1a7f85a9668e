import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError } from '../base/errors.ts';
import { isObject, parseJson } from '../base/json.ts';
import { jsonProblem } from '../base/json-fault.ts';
import { Secret } from '../base/secret.ts';
import {
  environmentLayer,
  nameVariable,
  type OwnEnvironment,
  unknownVariables,
  valueAt,
  variablesInUse,
} from '../config/environment.ts';
import {
  type Config,
  checkedTogether,
  mapPaths,
  type PartialConfig,
  resolveConfig,
} from '../config/resolve.ts';
import type { EnvironmentCredentials } from '../credentials/selection.ts';
import { expandHome } from '../files/home-path.ts';
import { ReadError, readTextFile } from '../files/read-text.ts';
import type { ProxyEnvironment } from '../upstream/egress-proxy.ts';

export type Environment = Record<string, string | undefined>;

/** Everything that a command takes from outside, read once. */
export interface Settings {
  config: Config;
  /** Where the value of a key comes from, in words for people. */
  originOf: (key: string) => string;
  /** Read anew at each call, because the files behind `*_FILE` may change. */
  credentials: () => Promise<EnvironmentCredentials>;
  oauthClientId: string | null;
  /** File with the URL of the shared store; null where none is named. */
  storeUrlFile: string | null;
  proxyEnvironment: ProxyEnvironment;
  trust: TrustEnvironment;
  codexHome: string;
  /** Lines for the log at start. */
  warnings: string[];
}

/** A file, and the setting or variable that names it. */
export interface NamedFile {
  name: string;
  path: string;
}

/** What the environment says about certificate authorities. */
interface TrustEnvironment {
  /** What Node.js trusts by itself, in words. */
  ofNode: string;
  /** PEM files of variables that Node.js and Codex obey. */
  files: NamedFile[];
}

/**
 * Defaults, then the file, then the environment, then flags.
 * @param configFile path from `--config`; null: the one in `SIDECAR_CONFIG`, or none
 * @throws ConfigError
 */
export async function readSettings(
  env: OwnEnvironment,
  configFile: string | null,
  flags: PartialConfig,
): Promise<Settings> {
  const path = configFile ?? textOf(env, 'SIDECAR_CONFIG');
  const file = await readConfigFile(path);
  const config = resolve(path, file, env, flags);
  return {
    config,
    originOf: (key) => originOf(key, path, file, env, flags),
    warnings: [...unknownVariables(env), ...unusedProxies(env), ...postgresVariables(env, config)],
    codexHome: config.codexHome ?? join(homedir(), '.codex'),
    credentials: () => readCredentials(env),
    storeUrlFile: storeUrlFile(env),
    oauthClientId: textOf(env, 'CODEX_APP_SERVER_LOGIN_CLIENT_ID'),
    proxyEnvironment: {
      httpsProxy: textOf(env, 'https_proxy') ?? textOf(env, 'HTTPS_PROXY'),
      noProxy: textOf(env, 'no_proxy') ?? textOf(env, 'NO_PROXY'),
    },
    trust: trustOf(env),
  };
}

/** A line where somebody may think that a proxy is used, and none is. */
function unusedProxies(env: OwnEnvironment): string[] {
  const set = (name: string) => textOf(env, name.toLowerCase()) ?? textOf(env, name);
  if (set('HTTPS_PROXY') !== null || set('ALL_PROXY') === null) return [];
  return ['ALL_PROXY is not used; set HTTPS_PROXY for the upstreams, to an http proxy'];
}

/** Flags of Node.js that choose which authorities it begins with. */
const TRUST_FLAG = /^--use-(?:openssl|system|bundled)-ca$/;
/** Node 20 has its own variable at connections that trust nothing else, so we read that file too. */
const AUTHORITY_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'CODEX_CA_CERTIFICATE', 'SSL_CERT_FILE'];

/** What the environment says about certificate authorities. */
export function trustOf(env: OwnEnvironment): TrustEnvironment {
  const options = [...process.execArgv, ...(textOf(env, 'NODE_OPTIONS') ?? '').split(/\s+/)];
  const flags = [...new Set(options.filter((option) => TRUST_FLAG.test(option)))];
  return {
    ofNode: flags.length > 0 ? `Node.js (${flags.join(' ')})` : 'Node.js',
    files: AUTHORITY_VARIABLES.flatMap((name) => {
      const path = textOf(env, name);
      return path === null ? [] : [{ name, path }];
    }),
  };
}

/**
 * Each layer is checked by itself too: a wrong value that a later layer covers today would break
 * the next start without that layer.
 */
function resolve(
  path: string | null,
  file: PartialConfig,
  env: OwnEnvironment,
  flags: PartialConfig,
): Config {
  const inFile = checkedLayer(file, (message) => `config file ${path}: ${message}`);
  const inEnvironment = checkedLayer(environmentLayer(env), (message) =>
    nameVariable(message, env, {}),
  );
  const inFlags = checkedLayer(flags, (message) => message);
  return checkedTogether(resolveConfig(inFile, inEnvironment, inFlags));
}

function originOf(
  key: string,
  path: string | null,
  file: PartialConfig,
  env: OwnEnvironment,
  flags: PartialConfig,
): string {
  if (valueAt(flags, key) !== undefined) return 'command line';
  const variables = variablesInUse(env);
  // A section that is given as JSON sets everything in it.
  const [, variable] = [...variables].findLast(([set]) => `${key}.`.startsWith(`${set}.`)) ?? [];
  if (variable !== undefined && valueAt(environmentLayer(env), key) !== undefined) return variable;
  return valueAt(file, key) === undefined ? 'default' : `${path}`;
}

function checkedLayer(layer: PartialConfig, describe: (message: string) => string): PartialConfig {
  try {
    resolveConfig(layer);
    return mapPaths(layer, (path) => expandHome(path, homedir()));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(describe(error.message));
  }
}

/** Reads a file that the configuration names; a failure names the key. */
export async function readNamedFile(key: string, path: string): Promise<string> {
  try {
    return await readTextFile(expandHome(path, homedir()));
  } catch (error) {
    if (error instanceof ReadError) {
      throw new ConfigError(`${key}: cannot read ${path} (${error.message})`);
    }
    throw new ConfigError(`${key}: ${(error as Error).message}`);
  }
}

async function readConfigFile(path: string | null): Promise<PartialConfig> {
  if (path === null) return {};
  const text = await readNamedFile('config file', path);
  const value = parseJson(text);
  if (value === undefined) {
    throw new ConfigError(`config file ${path} is not valid JSON, ${jsonProblem(text)}`);
  }
  if (!isObject(value)) throw new ConfigError(`config file ${path} does not hold a JSON object`);
  return value;
}

/** @throws ConfigError when the URL itself is given, which others could read in the environment */
function storeUrlFile(env: OwnEnvironment): string | null {
  if (env.SIDECAR_STORE_URL !== undefined) {
    throw new ConfigError(
      'SIDECAR_STORE_URL is not taken, since it holds a password: write it into a file, and name that in SIDECAR_STORE_URL_FILE',
    );
  }
  return textOf(env, 'SIDECAR_STORE_URL_FILE');
}

/** Variables that other programs sign in to PostgreSQL with. */
function postgresVariables(env: OwnEnvironment, { store }: Config): string[] {
  const names = Object.keys(env).filter((name) => /^PG[A-Z]+$/.test(name));
  if (store.kind !== 'postgres' || names.length === 0) return [];
  return [`${names.join(', ')} set nothing here; SIDECAR_STORE_URL_FILE says everything`];
}

function textOf(env: OwnEnvironment, name: string): string | null {
  const value = env[name];
  return (typeof value === 'string' && value.trim()) || null;
}

async function readCredentials(env: OwnEnvironment): Promise<EnvironmentCredentials> {
  return {
    apiKey: await secretOf(env, 'CODEX_API_KEY'),
    accessToken: await secretOf(env, 'CODEX_ACCESS_TOKEN'),
    agentIdentity: await secretOf(env, 'CODEX_AGENT_IDENTITY'),
    workload: workloadOf(env),
  };
}

const RULE = 'OPENAI_FEDERATION_RULE_ID';
const IDENTITY = 'OPENAI_IDENTITY_TOKEN_FILE';
const IDENTITY_SOURCE = 'OPENAI_IDENTITY_TOKEN_SOURCE';

/** The names are those of Codex. */
function workloadOf(env: OwnEnvironment): EnvironmentCredentials['workload'] {
  const [ruleId, tokenFile] = [textOf(env, RULE), textOf(env, IDENTITY)];
  if (ruleId === null && tokenFile === null) return null;
  const source = textOf(env, IDENTITY_SOURCE) ?? 'file';
  if (source !== 'file') {
    throw new ConfigError(`${IDENTITY_SOURCE} must be "file" here, and ${IDENTITY} name the file`);
  }
  if (ruleId === null) throw new ConfigError(`${IDENTITY} is set, but not ${RULE}; set both`);
  if (tokenFile === null) throw new ConfigError(`${RULE} is set, but not ${IDENTITY}; set both`);
  if (!isAbsolute(tokenFile)) throw new ConfigError(`${IDENTITY} must be an absolute path`);
  return { ruleId, tokenFile, token: () => identityToken(IDENTITY, tokenFile) };
}

/** The variable itself, or the file that its `*_FILE` variant names, as container secrets come. */
async function secretOf(env: OwnEnvironment, name: string): Promise<Secret | null> {
  const given = env[name];
  const value = (given instanceof Secret ? given.reveal() : given)?.trim() || null;
  const path = textOf(env, `${name}_FILE`);
  if (path === null) return value === null ? null : new Secret(value);
  if (value !== null) throw new ConfigError(`${name} and ${name}_FILE are both set; unset one`);
  return secretIn(`${name}_FILE`, path);
}

/** @throws ConfigError unless the file holds a secret */
async function identityToken(name: string, path: string): Promise<Secret> {
  const secret = await secretIn(name, path);
  if (secret === null) throw new ConfigError(`${name}: ${path} is empty`);
  return secret;
}

/** The secret in a file; null when the file is empty. */
async function secretIn(name: string, path: string): Promise<Secret | null> {
  const content = await readNamedFile(name, path);
  const lines = new Set(content.split('\n').map((line) => line.trim()));
  lines.delete('');
  // A pipe that is served again and again may have given the secret more than once.
  const [secret, ...others] = lines;
  if (others.length > 0) throw new ConfigError(`${name}: ${path} holds more than one line`);
  return secret === undefined ? null : new Secret(secret);
}

/** The environment without credentials. */
export function plainVariables(env: OwnEnvironment): Environment {
  const isPlain = (entry: [string, unknown]): entry is [string, string] =>
    typeof entry[1] === 'string';
  return Object.fromEntries(Object.entries(env).filter(isPlain));
}
