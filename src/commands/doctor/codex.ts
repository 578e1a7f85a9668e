import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { FileAuthStore } from '../../auth-store/file-store.ts';
import { isLoopbackHost } from '../../base/host.ts';
import type { Config } from '../../config/resolve.ts';
import { findProgram } from '../../files/find-program.ts';
import { readTextFile } from '../../files/read-text.ts';
import type { Environment } from '../../sidecar/settings.ts';
import type { ServerCertificate } from '../../sidecar/tls-files.ts';
import { parseToml, providerIn, type Table } from '../codex/config-toml.ts';
import { modelBaseUrl } from '../codex/provider.ts';
import { codexUsesProxy, noProxyEntry } from '../codex/proxy-variables.ts';
import { statusTarget } from '../status/ask.ts';
import { absent, type Finding, failure, ok, warning } from './finding.ts';

const TIMEOUT_MS = 8_000;
const POINT =
  'run "codex-auth-sidecar codex-config --write", or start Codex with "codex-auth-sidecar run"';

/** Finds the Codex CLI in `PATH` and runs it with `--version` only. */
export async function checkCodex(env: Environment): Promise<Finding> {
  const program = await findProgram('codex', env.PATH);
  if (program === null) {
    return warning(
      'codex',
      'not in PATH',
      'install @openai/codex, unless Codex runs on another machine',
    );
  }
  try {
    const options = { timeout: TIMEOUT_MS, env: { PATH: env.PATH, HOME: env.HOME } };
    const { stdout } = await promisify(execFile)(program, ['--version'], options);
    return ok('codex', `${stdout.trim().split('\n')[0]} (${program})`);
  } catch {
    return failure('codex', `${program} --version failed`, 'reinstall @openai/codex');
  }
}

interface CodexConfigInput {
  /** Text of `config.toml`; null when the file does not exist. */
  text: string | null;
  path: string;
  /** A profile file beside it, which lies over it when Codex is started with `--profile`. */
  profile?: { text: string; path: string };
  listen: Config['listen'];
  /** Of the listener; null with plain HTTP. */
  certificate: ServerCertificate | null;
  /** Text of the tokens file; null when clients need no token. */
  tokens: string | null;
  env: Environment;
}

/** Whether a Codex with this configuration sends its model requests to the sidecar. Pure. */
export function checkCodexConfig(input: CodexConfigInput): Finding {
  const name = 'codex config';
  const { text, profile } = input;
  if (text === null && !profile) return warning(name, `${input.path} does not exist`, POINT);
  const path = profile?.path ?? input.path;
  let content: Table;
  try {
    content = overlaid(parseToml(text ?? ''), parseToml(profile?.text ?? ''));
  } catch (error) {
    return failure(name, `${path}: ${(error as Error).message}`, 'repair it');
  }
  const id = chosenProvider(content);
  const provider = providerIn(content, id) ?? {};
  const baseUrl = id === 'openai' ? content.openai_base_url : provider.base_url;
  if (typeof baseUrl !== 'string' || !URL.canParse(baseUrl)) {
    return warning(name, `${path} points Codex at the provider "${id}", not at the sidecar`, POINT);
  }
  if (!pointsAt(baseUrl, input)) {
    return warning(
      name,
      `${path} points Codex at ${new URL(baseUrl).origin}, not at the sidecar`,
      POINT,
    );
  }
  const finding = id === 'openai' ? null : providerProblem(name, provider, input);
  if (finding) return finding;
  // Such a Codex asks for the origin of its workspace, and sends inference there (measured, 0.171.0).
  const usesLogin = id === 'openai' || provider.requires_openai_auth === true;
  if (usesLogin && isSameOrigin(content.chatgpt_base_url, baseUrl)) {
    return warning(
      name,
      `${path} sets chatgpt_base_url, with which a Codex that is signed in sends inference past the sidecar`,
      'remove chatgpt_base_url, or set requires_openai_auth = false in a provider of its own',
    );
  }
  if (codexUsesProxy(input.env, new URL(baseUrl))) {
    const remedy = `set NO_PROXY=${noProxyEntry(new URL(baseUrl))} for Codex`;
    return warning(name, 'Codex sends its requests for the sidecar to an HTTP proxy', remedy);
  }
  return ok(name, `${path} points at the sidecar (provider "${id}")`);
}

function providerProblem(name: string, provider: Table, { tokens }: CodexConfigInput) {
  const remedy = 'run "codex-auth-sidecar codex-config --write"';
  const { experimental_bearer_token: token, env_key: variable } = provider;
  if (typeof token !== 'string' && typeof variable !== 'string') {
    const problem = 'the provider has no client token, so Codex would send its own login instead';
    return failure(name, problem, remedy);
  }
  if (typeof token === 'string' && tokens !== null && !tokens.includes(sha256(token))) {
    return failure(
      name,
      'its client token is not in clients.tokensFile',
      'make a new token with "codex-auth-sidecar token add"',
    );
  }
  if (provider.wire_api !== undefined && provider.wire_api !== 'responses') {
    return failure(name, 'the wire_api of the provider is not "responses"', remedy);
  }
  if (provider.name !== 'OpenAI') {
    return warning(
      name,
      'the provider is not named "OpenAI", so Codex does not compact remotely',
      remedy,
    );
  }
  if (provider.supports_websockets !== true) {
    return warning(name, 'supports_websockets is not true, so Codex uses HTTP only', remedy);
  }
  return null;
}

/** Top-level values of a profile go before those of `config.toml`; providers of both are known. */
function overlaid(base: Table, profile: Table): Table {
  const providers = [base.model_providers, profile.model_providers] as (Table | undefined)[];
  return { ...base, ...profile, model_providers: Object.assign({}, ...providers) };
}

function isSameOrigin(value: unknown, url: string): boolean {
  return (
    typeof value === 'string' &&
    URL.canParse(value) &&
    new URL(value).origin === new URL(url).origin
  );
}

function chosenProvider(content: Table): string {
  const profiles = content.profiles as Record<string, Table | undefined> | undefined;
  const profile = typeof content.profile === 'string' ? profiles?.[content.profile] : undefined;
  return String(profile?.model_provider ?? content.model_provider ?? 'openai');
}

function pointsAt(
  baseUrl: string,
  { listen, certificate }: Pick<CodexConfigInput, 'listen' | 'certificate'>,
): boolean {
  const target = statusTarget(listen);
  if (!('url' in target)) return false;
  const [theirs, ours] = [new URL(baseUrl), new URL(modelBaseUrl(target.url))];
  const sameHost =
    theirs.hostname === ours.hostname ||
    (isLoopbackHost(theirs.hostname) && isLoopbackHost(ours.hostname)) ||
    certificate?.covers(theirs.hostname) === true;
  const sameOrigin = sameHost && theirs.port === ours.port && theirs.protocol === ours.protocol;
  return sameOrigin && theirs.pathname.replace(/\/+$/, '') === ours.pathname;
}

/** Whether the agent has a login of its own, which it can read and which Codex uses for some requests. */
export async function checkAgentLogin(agentHome: string, codexHome: string): Promise<Finding> {
  const name = 'codex login';
  const document = await new FileAuthStore(agentHome).load().catch(() => null);
  if (!document || document.isEmpty) return absent(name, `no login in ${agentHome}`);
  if (resolve(agentHome) === resolve(codexHome)) {
    const remedy = 'give the agent another CODEX_HOME, or use "run", which gives it one of its own';
    return warning(
      name,
      `the agent and the sidecar share ${agentHome}, so the agent can read the login`,
      remedy,
    );
  }
  const problem = `${agentHome} holds a login, with which Codex may bypass the sidecar`;
  return warning(name, problem, `run "codex logout" with CODEX_HOME=${agentHome}`);
}

export async function readIfThere(folder: string, file: string): Promise<string | null> {
  return readTextFile(join(folder, file)).catch(() => null);
}

/** The profile files of a Codex home, `NAME.config.toml`. */
export async function readProfiles(folder: string): Promise<{ path: string; text: string }[]> {
  const names = await readdir(folder).catch(() => []);
  const found: { path: string; text: string }[] = [];
  for (const name of names.filter((file) => file.endsWith('.config.toml')).sort()) {
    const text = await readIfThere(folder, name);
    if (text !== null) found.push({ path: join(folder, name), text });
  }
  return found;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
