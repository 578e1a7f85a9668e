import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { ConfigError } from '../../base/errors.ts';
import { isHeaderText, NOT_HEADER_TEXT } from '../../base/header-text.ts';
import { parseJsonObject } from '../../base/json.ts';
import { normalizePlanType, type PlanType } from '../../base/plan-type.ts';
import type { Config, PartialConfig } from '../../config/resolve.ts';
import { madeUpAccount, phantomLogin } from '../../oauth/phantom-login.ts';
import { readAuthoritiesOf } from '../../sidecar/authorities.ts';
import { type Environment, readNamedFile, readSettings, trustOf } from '../../sidecar/settings.ts';
import { askSidecar, operatorTarget, type StatusTarget, statusTarget } from '../status/ask.ts';
import { certificateProblems } from './certificate.ts';
import { ConfigFile } from './config-file.ts';
import {
  parseToml,
  providerIn,
  type RootFields,
  snippet,
  type Table,
  TomlError,
  UnchangeableError,
  withProvider,
} from './config-toml.ts';
import { agentHome, holdsLogin } from './home.ts';
import { loginSettings } from './login-settings.ts';
import { requireNoOther, writePhantomLogin } from './phantom-file.ts';
import { modelBaseUrl, PROVIDER_ID, type ProviderFields, providerFields } from './provider.ts';
import { codexUsesProxy, noProxyEntry } from './proxy-variables.ts';

export interface CodexConfigOptions {
  env: Environment;
  configFile: string | null;
  flags: PartialConfig;
  /** Address of the sidecar as the agent sees it; null means the configured listener. */
  url: string | null;
  /** File that holds the client token, `-` for standard input; null when no token is given. */
  tokenFile: string | null;
  readInput: () => Promise<string>;
  /** Write the provider to `config.toml` in the agent's `CODEX_HOME` instead of printing it. */
  write: boolean;
  /** With `write`: also put a phantom login there, so that Codex is signed in to the sidecar. */
  login: boolean;
  print: (line: string) => void;
  /** Prints one line that is not part of the output. */
  warn: (line: string) => void;
}

const PLACEHOLDER = 'PUT THE CLIENT TOKEN HERE';
const HOW_TO_GET_ONE =
  'make one with "codex-auth-sidecar token add NAME" and pass it with --token-file FILE (- for standard input)';

/** Prints the lines that point Codex at the sidecar, or writes them to Codex's configuration. */
export async function codexConfig(options: CodexConfigOptions): Promise<void> {
  const { env, configFile, flags, print, warn } = options;
  const { config } = await readSettings(env, configFile, flags);
  const baseUrl = modelBaseUrl(options.url === null ? listenerUrl(config) : checkUrl(options.url));
  const token = await readToken(options);
  if (options.login && !options.write) throw new ConfigError('--login goes with --write');
  const home = agentHome(env);
  const own = options.url === null ? config : null;
  for (const line of await certificateProblems(new URL(baseUrl), own, env)) warn(line);
  if (options.login) {
    await requireNoOther(join(home, 'auth.json'));
    const root = (before: Table) => loginSettings(baseUrl, before);
    const used = await writeInto(new ConfigFile(home), baseUrl, token, print, root);
    await signInTo(home, new URL(baseUrl).origin, used, options, await planSource(options, config));
  } else if (options.write) {
    await writeInto(new ConfigFile(home), baseUrl, token, print);
    await warnOfLogin(home, warn);
  } else {
    for (const line of snippet(fieldsFor(baseUrl, token ?? PLACEHOLDER))) print(line);
    if (token === null) warn(`the client token is missing: ${HOW_TO_GET_ONE}`);
  }
  if (codexUsesProxy(env, new URL(baseUrl))) {
    const host = noProxyEntry(new URL(baseUrl));
    warn(
      `Codex would send requests for this address to the HTTP proxy; set NO_PROXY=${host} for Codex`,
    );
  }
}

async function writeInto(
  file: ConfigFile,
  baseUrl: string,
  givenToken: string | null,
  print: CodexConfigOptions['print'],
  root: Change['root'] = () => ({}),
): Promise<string> {
  const before = await file.read();
  const { after, token } = change(file.path, before, { baseUrl, givenToken, root }, print);
  if (after === before) {
    print(`${file.path} already points at ${baseUrl}`);
    return token;
  }
  const backup = await file.replace(after);
  const kept = backup === null ? '' : `; the previous version is in ${backup}`;
  print(`${file.path} now points at ${baseUrl}${kept}`);
  return token;
}

/** Writes the phantom login, with what the sidecar says of the plan where it can be asked. */
async function signInTo(
  home: string,
  issuer: string,
  clientToken: string,
  { print, warn }: CodexConfigOptions,
  source: StatusTarget,
): Promise<void> {
  const planType = await askPlan(source).catch(() => null);
  const login = phantomLogin({ issuer, clientToken }, madeUpAccount(planType), systemClock());
  print(
    `${await writePhantomLogin(home, login)} now signs Codex in to ${issuer}, and nowhere else`,
  );
  if (planType !== null) return;
  warn(
    'the sidecar did not say its plan, on which features of Codex depend; run this again once it is up and signed in',
  );
}

async function planSource({ url, env }: CodexConfigOptions, config: Config) {
  if (url === null) return operatorTarget(config);
  return { url: new URL(url).origin, authorities: await readAuthoritiesOf(trustOf(env)) };
}

async function askPlan(source: StatusTarget): Promise<PlanType | null> {
  const { text } = await askSidecar(source, '/auth/status');
  const plan = parseJsonObject(text)?.planType;
  return typeof plan === 'string' ? normalizePlanType(plan) : null;
}

interface Change {
  baseUrl: string;
  givenToken: string | null;
  /** What else is set, by what the file holds. */
  root: (before: Table) => RootFields;
}

/** The new text of the file; without a given token, the token in the file stays. */
function change(
  path: string,
  before: string,
  { baseUrl, givenToken, root: rootFor }: Change,
  print: CodexConfigOptions['print'],
): { after: string; token: string } {
  try {
    const token = givenToken ?? tokenIn(before);
    if (token === null) throw new ConfigError(`--write needs the client token: ${HOW_TO_GET_ONE}`);
    const fields = fieldsFor(baseUrl, token);
    const root = rootFor(parseToml(before));
    try {
      return { after: withProvider(before, fields, root), token };
    } catch (error) {
      if (error instanceof UnchangeableError) for (const line of snippet(fields, root)) print(line);
      throw error;
    }
  } catch (error) {
    if (error instanceof TomlError) throw new Error(`${path}: ${error.message}; fix it first`);
    if (!(error instanceof UnchangeableError)) throw error;
    throw new Error(`${path} was not changed: ${error.message}; add the lines above by hand`);
  }
}

function fieldsFor(baseUrl: string, token: string): ProviderFields {
  return providerFields(baseUrl, { experimental_bearer_token: token });
}

function tokenIn(text: string): string | null {
  const token = providerIn(parseToml(text), PROVIDER_ID)?.experimental_bearer_token;
  return typeof token === 'string' && token !== '' ? token : null;
}

async function readToken({ tokenFile, readInput }: CodexConfigOptions): Promise<string | null> {
  if (tokenFile === null) return null;
  const text =
    tokenFile === '-' ? await readInput() : await readNamedFile('--token-file', tokenFile);
  const token = text.trim();
  if (token === '') throw new ConfigError('--token-file: it holds no token');
  if (/:[0-9a-f]{64}$/.test(token)) {
    throw new ConfigError(
      '--token-file: the file holds digests, but it must hold the token itself',
    );
  }
  if (!isHeaderText(token)) throw new ConfigError(`--token-file: the token ${NOT_HEADER_TEXT}`);
  return token;
}

function listenerUrl({ listen }: Config): string {
  if (listen.socket === null && listen.port === 0) {
    throw new ConfigError('listen.port is 0, so the port is unknown; pass --url or --port');
  }
  const target = statusTarget(listen);
  if ('url' in target) return target.url;
  throw new ConfigError('listen.socket is set, but Codex supports TCP only; pass --url');
}

function checkUrl(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new ConfigError('--url must be an http or https URL');
}

async function warnOfLogin(home: string, warn: CodexConfigOptions['warn']): Promise<void> {
  if (!(await holdsLogin(home))) return;
  warn(`the agent can read and use the login in ${home}; sign in elsewhere for the sidecar`);
}
