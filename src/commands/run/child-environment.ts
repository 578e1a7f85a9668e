import { basename } from 'node:path';
import type { Environment } from '../../sidecar/settings.ts';
import { PROVIDER_ID, providerFields, tomlValue } from '../codex/provider.ts';
import { withoutProxy } from '../codex/proxy-variables.ts';

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

/** Programs that start the program named in their arguments. */
const LAUNCHERS = new Set(['npx', 'bunx', 'env', 'nice', 'nohup', 'setsid', 'stdbuf', 'timeout']);
const CODEX_PACKAGE = /^@openai\/codex(@.+)?$/;

interface ChildAccess {
  /** Base URL of the model routes. */
  baseUrl: string;
  clientToken: string;
  /** `CODEX_HOME` of the child; null keeps the inherited one. */
  codexHome: string | null;
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
    OPENAI_BASE_URL: access.baseUrl,
    OPENAI_API_KEY: access.clientToken,
    [TOKEN_VARIABLE]: access.clientToken,
    ...(access.codexHome === null ? {} : { CODEX_HOME: access.codexHome }),
    ...withoutProxy(env),
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
export function childCommand(command: readonly string[], baseUrl: string): string[] {
  const index = codexIndex(command);
  if (index === -1) return [...command];
  const fields = Object.entries(providerFields(baseUrl, { env_key: TOKEN_VARIABLE }));
  const table = fields.map(([name, value]) => `${name}=${tomlValue(value)}`).join(',');
  const overrides = [
    '-c',
    `model_provider=${tomlValue(PROVIDER_ID)}`,
    '-c',
    `model_providers.${PROVIDER_ID}={${table}}`,
  ];
  return [...command.slice(0, index + 1), ...overrides, ...command.slice(index + 1)];
}
