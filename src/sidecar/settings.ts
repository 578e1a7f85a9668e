import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, errnoOf } from '../base/errors.ts';
import { isObject, parseJson } from '../base/json.ts';
import { Secret } from '../base/secret.ts';
import {
  environmentLayer,
  nameVariable,
  type OwnEnvironment,
  unknownVariables,
} from '../config/environment.ts';
import { type Config, type PartialConfig, resolveConfig } from '../config/resolve.ts';
import type { EnvironmentCredentials } from '../credentials/selection.ts';
import type { ProxyEnvironment } from '../upstream/egress-proxy.ts';

export type Environment = Record<string, string | undefined>;

/** Everything that a command takes from outside, read once. */
export interface Settings {
  config: Config;
  /** Read anew at each call, because the files behind `*_FILE` may change. */
  credentials: () => Promise<EnvironmentCredentials>;
  oauthClientId: string | null;
  proxyEnvironment: ProxyEnvironment;
  codexHome: string;
  /** Lines for the log at start. */
  warnings: string[];
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
  const config = resolve(await readConfigFile(path), env, flags);
  return {
    config,
    warnings: unknownVariables(env),
    codexHome: config.codexHome ?? join(homedir(), '.codex'),
    credentials: () => readCredentials(env),
    oauthClientId: textOf(env, 'CODEX_APP_SERVER_LOGIN_CLIENT_ID'),
    proxyEnvironment: {
      httpsProxy: textOf(env, 'https_proxy') ?? textOf(env, 'HTTPS_PROXY'),
      noProxy: textOf(env, 'no_proxy') ?? textOf(env, 'NO_PROXY'),
    },
  };
}

function resolve(file: PartialConfig, env: OwnEnvironment, flags: PartialConfig): Config {
  try {
    return resolveConfig(file, environmentLayer(env), flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(nameVariable(error.message, env, flags));
  }
}

/** Reads a file that the configuration names; a failure names the key. */
export async function readNamedFile(key: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${key}: cannot read ${path} (${errnoOf(error)})`);
  }
}

async function readConfigFile(path: string | null): Promise<PartialConfig> {
  if (path === null) return {};
  const text = await readNamedFile('config file', path);
  const value = parseJson(text);
  if (value === undefined) throw new ConfigError(`config file ${path} is not valid JSON`);
  if (!isObject(value)) throw new ConfigError(`config file ${path} does not hold a JSON object`);
  return value;
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
  };
}

/** The variable itself, or the file that its `*_FILE` variant names, as container secrets come. */
async function secretOf(env: OwnEnvironment, name: string): Promise<Secret | null> {
  const given = env[name];
  const value = (given instanceof Secret ? given.reveal() : given)?.trim() || null;
  const path = textOf(env, `${name}_FILE`);
  if (path === null) return value === null ? null : new Secret(value);
  if (value !== null) throw new ConfigError(`${name} and ${name}_FILE are both set; unset one`);
  const content = (await readNamedFile(`${name}_FILE`, path)).trim();
  return content === '' ? null : new Secret(content);
}

/** The environment without credentials. */
export function plainVariables(env: OwnEnvironment): Environment {
  const isPlain = (entry: [string, unknown]): entry is [string, string] =>
    typeof entry[1] === 'string';
  return Object.fromEntries(Object.entries(env).filter(isPlain));
}
