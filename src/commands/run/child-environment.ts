import { basename } from 'node:path';
import type { Environment } from '../../sidecar/settings.ts';
import type { RootFields, Table } from '../codex/config-toml.ts';
import { loginSettings } from '../codex/login-settings.ts';
import { PROVIDER_ID, providerFields, tomlValue } from '../codex/provider.ts';
import { withoutProxy } from '../codex/proxy-variables.ts';

/** Codex's own provider; it cannot be defined anew, only given another address. */
const BUILT_IN_PROVIDER = 'openai';

/** The variable that a Codex started by `run` reads its client token from. */
const TOKEN_VARIABLE = 'SIDECAR_CLIENT_TOKEN';

/** Variables that hold a real credential; each also exists as `*_FILE`. */
const CREDENTIALS = [
  'CODEX_API_KEY',
  'CODEX_ACCESS_TOKEN',
  'CODEX_AGENT_IDENTITY',
  'OPENAI_API_KEY',
];
/** With these Codex would sign in by itself, past the sidecar. */
const WORKLOAD = [
  'OPENAI_FEDERATION_RULE_ID',
  'OPENAI_IDENTITY_TOKEN_FILE',
  'OPENAI_IDENTITY_TOKEN_SOURCE',
];
const SCRUBBED = new Set([...CREDENTIALS.flatMap((name) => [name, `${name}_FILE`]), ...WORKLOAD]);

/** What clients would send by themselves, past the sidecar: traces to OpenAI, the version of pi. */
const QUIET = { OPENAI_AGENTS_DISABLE_TRACING: '1', PI_TELEMETRY: '0' };

/** Programs that start the program named in their arguments. */
const LAUNCHERS = new Set(['npx', 'bunx', 'env', 'nice', 'nohup', 'setsid', 'stdbuf', 'timeout']);
const CODEX_PACKAGE = /^@openai\/codex(@.+)?$/;

/** The `CODEX_HOME` of a child. */
export interface ChildHome {
  path: string;
  /** The home that it has configuration and sessions in common with; null when there is none. */
  shared: SharedHome | null;
}

interface SharedHome {
  path: string;
  /** The content of its `config.toml`. */
  config: Table;
}

interface ChildAccess {
  /** Base URL of the model routes. */
  baseUrl: string;
  clientToken: string;
  /** null keeps the inherited one. */
  home: ChildHome | null;
}

/**
 * The environment of the child: without real credentials and settings of the sidecar, with the
 * address and token of the sidecar, and without an HTTP proxy on the way to it.
 */
export function childEnvironment(env: Environment, access: ChildAccess): Environment {
  const kept = Object.entries(env).filter(
    ([name]) => !SCRUBBED.has(name) && !name.startsWith('SIDECAR_'),
  );
  return {
    ...Object.fromEntries(kept),
    ...QUIET,
    OPENAI_BASE_URL: access.baseUrl,
    OPENAI_API_KEY: access.clientToken,
    [TOKEN_VARIABLE]: access.clientToken,
    ...homeVariables(env, access),
    ...withoutProxy(env),
  };
}

function homeVariables(env: Environment, { baseUrl, clientToken, home }: ChildAccess): Environment {
  if (home === null) return {};
  if (home.shared === null) return { CODEX_HOME: home.path };
  return {
    CODEX_HOME: home.path,
    // Databases lie in it, and name each session by its path.
    CODEX_SQLITE_HOME: env.CODEX_SQLITE_HOME?.trim() || home.shared.path,
    // Codex takes the token for apps from here alone, where the address is not OpenAI's.
    CODEX_CONNECTORS_TOKEN: clientToken,
    // The login in that home names the sidecar of the newest run.
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: new URL('/oauth/token', baseUrl).href,
  };
}

/** Index of the Codex CLI in a command line, also after a launcher such as npx; -1 if absent. */
export function codexIndex(command: readonly string[]): number {
  const isCodex = (word: string) => basename(word) === 'codex' || CODEX_PACKAGE.test(word);
  const [program = ''] = command;
  if (isCodex(program)) return 0;
  return LAUNCHERS.has(basename(program)) ? command.findIndex(isCodex) : -1;
}

/**
 * The command line with the settings that point Codex at the sidecar. They follow the name of the
 * program, so that they apply to every subcommand and the user's own settings override them.
 */
export function childCommand(
  command: readonly string[],
  baseUrl: string,
  home: ChildHome | null,
): string[] {
  const index = codexIndex(command);
  if (index === -1) return [...command];
  const config = home?.shared?.config ?? null;
  // Codex resumes a session only with the provider that it began with.
  const isPointedHere = config === null || config.model_provider === PROVIDER_ID;
  const settings = [
    ...(isPointedHere ? ownProvider(baseUrl) : builtInProvider(baseUrl)),
    ...(config === null ? [] : withLogin(baseUrl, config)),
  ];
  const overrides = settings.flatMap((setting) => ['-c', setting]);
  return [...command.slice(0, index + 1), ...overrides, ...command.slice(index + 1)];
}

function ownProvider(baseUrl: string): string[] {
  const fields = Object.entries(providerFields(baseUrl, { env_key: TOKEN_VARIABLE }));
  const table = fields.map(([name, value]) => `${name}=${tomlValue(value)}`).join(',');
  return [`model_provider=${tomlValue(PROVIDER_ID)}`, `model_providers.${PROVIDER_ID}={${table}}`];
}

/** It sends the token of the phantom login. */
function builtInProvider(baseUrl: string): string[] {
  return [
    `model_provider=${tomlValue(BUILT_IN_PROVIDER)}`,
    `openai_base_url=${tomlValue(baseUrl)}`,
  ];
}

/** As {@link loginSettings}, but apps stay: here Codex has a token for them. */
function withLogin(baseUrl: string, config: Table): string[] {
  const { features: _, ...fields } = loginSettings(baseUrl, config);
  // The keyring may hold the real login.
  const all: RootFields = { ...fields, cli_auth_credentials_store: 'file' };
  return Object.entries(all).flatMap(([name, value]) =>
    typeof value === 'string'
      ? [`${name}=${tomlValue(value)}`]
      : Object.entries(value).map(([key, inner]) => `${name}.${key}=${tomlValue(inner)}`),
  );
}
