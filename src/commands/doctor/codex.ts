import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isUsable } from '../../admin/status.ts';
import { FileAuthStore } from '../../auth-store/file-store.ts';
import { isLoopbackHost } from '../../base/host.ts';
import { VERSION } from '../../base/version.ts';
import type { Config } from '../../config/resolve.ts';
import type { Environment } from '../../sidecar/settings.ts';
import { parseToml, providerIn, type Table } from '../codex/config-toml.ts';
import { modelBaseUrl } from '../codex/provider.ts';
import { codexUsesProxy, noProxyEntry } from '../codex/proxy-variables.ts';
import { fetchStatus, statusTarget } from '../status/client.ts';
import { findProgram } from './find-program.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

const TIMEOUT_MS = 8_000;
const POINT = 'run "codex-auth-sidecar codex-config --write", or start it with "run"';

/** Whether a sidecar answers where the configuration has it. */
export async function checkListener({ listen }: Config): Promise<Finding> {
  const name = 'listener';
  if (listen.socket === null && listen.port === 0) {
    return warning(name, 'listen.port is 0: the port is another at every start', 'set listen.port');
  }
  const target = statusTarget(listen);
  const place = 'url' in target ? target.url : target.socket;
  try {
    const { status, version, agentIdentity, bearer } = await fetchStatus(target);
    if (status === 'starting') return warning(name, `the sidecar at ${place} starts`, 'ask again');
    if (!isUsable(status)) {
      const reason = agentIdentity.lastError ?? bearer.lastError ?? 'see its log';
      return failure(name, `the sidecar at ${place} is ${status}: ${reason}`, null);
    }
    if (version === VERSION) return ok(name, `a sidecar answers at ${place}: ${status}`);
    return warning(name, `${version} runs at ${place}, this is ${VERSION}`, 'restart it');
  } catch (error) {
    const { message } = error as Error;
    if (/\((ECONNREFUSED|ENOENT)\)$/.test(message)) {
      return warning(name, `no sidecar runs at ${place}`, 'start it with "serve"');
    }
    return failure(name, message, 'check the address, and what else listens there');
  }
}

/** The Codex CLI in `PATH`, asked for nothing but its version. */
export async function checkCodex(env: Environment): Promise<Finding> {
  const program = await findProgram('codex', env.PATH);
  if (program === null) {
    return warning('codex', 'not in PATH', 'fine if it runs elsewhere; else install @openai/codex');
  }
  try {
    const options = { timeout: TIMEOUT_MS, env: { PATH: env.PATH, HOME: env.HOME } };
    const { stdout } = await promisify(execFile)(program, ['--version'], options);
    return ok('codex', `${stdout.trim().split('\n')[0]} (${program})`);
  } catch {
    return failure('codex', `${program} --version failed`, 'install @openai/codex again');
  }
}

export interface CodexConfigInput {
  /** Text of `config.toml`; null when there is none. */
  text: string | null;
  path: string;
  listen: Config['listen'];
  /** Text of the tokens file; null when none are asked for. */
  tokens: string | null;
  env: Environment;
}

/** Whether a Codex with this configuration sends its model requests to the sidecar. Pure. */
export function checkCodexConfig(input: CodexConfigInput): Finding {
  const name = 'codex config';
  const { text, path } = input;
  if (text === null) return warning(name, `${path} is not there`, POINT);
  let content: Table;
  try {
    content = parseToml(text);
  } catch (error) {
    return failure(name, `${path}: ${(error as Error).message}`, 'repair it');
  }
  const id = chosenProvider(content);
  const provider = providerIn(content, id) ?? {};
  const baseUrl = id === 'openai' ? content.openai_base_url : provider.base_url;
  if (typeof baseUrl !== 'string' || !URL.canParse(baseUrl)) {
    return warning(name, `${path} has Codex use the provider "${id}", not the sidecar`, POINT);
  }
  if (!pointsAt(baseUrl, input.listen)) {
    return warning(
      name,
      `${path} has Codex use ${new URL(baseUrl).origin}, not the sidecar`,
      POINT,
    );
  }
  const finding = id === 'openai' ? null : providerProblem(name, provider, input);
  if (finding) return finding;
  if (codexUsesProxy(input.env, new URL(baseUrl))) {
    const remedy = `set NO_PROXY=${noProxyEntry(new URL(baseUrl))} for Codex`;
    return warning(name, 'an HTTP proxy stands between Codex and the sidecar', remedy);
  }
  return ok(name, `${path} points here (provider "${id}")`);
}

function providerProblem(name: string, provider: Table, { tokens }: CodexConfigInput) {
  const remedy = 'run "codex-auth-sidecar codex-config --write"';
  const { experimental_bearer_token: token, env_key: variable } = provider;
  if (typeof token !== 'string' && typeof variable !== 'string') {
    const problem = 'the provider has no token, so a Codex that is logged in sends its own';
    return failure(name, problem, remedy);
  }
  if (typeof token === 'string' && tokens !== null && !tokens.includes(sha256(token))) {
    return failure(name, 'its client token is not in clients.tokensFile', 'put the right one in');
  }
  if (provider.wire_api !== undefined && provider.wire_api !== 'responses') {
    return failure(name, 'its wire_api is not "responses"', remedy);
  }
  if (provider.name !== 'OpenAI') {
    return warning(name, 'the provider is not named "OpenAI": no remote compaction', remedy);
  }
  if (provider.supports_websockets !== true) {
    return warning(name, 'supports_websockets is not true: HTTP only', remedy);
  }
  return null;
}

function chosenProvider(content: Table): string {
  const profiles = content.profiles as Record<string, Table | undefined> | undefined;
  const profile = typeof content.profile === 'string' ? profiles?.[content.profile] : undefined;
  return String(profile?.model_provider ?? content.model_provider ?? 'openai');
}

function pointsAt(baseUrl: string, listen: Config['listen']): boolean {
  const target = statusTarget(listen);
  if (!('url' in target)) return false;
  const [theirs, ours] = [new URL(baseUrl), new URL(modelBaseUrl(target.url))];
  const sameHost =
    theirs.hostname === ours.hostname ||
    (isLoopbackHost(theirs.hostname) && isLoopbackHost(ours.hostname));
  const sameOrigin = sameHost && theirs.port === ours.port && theirs.protocol === ours.protocol;
  return sameOrigin && theirs.pathname.replace(/\/+$/, '') === ours.pathname;
}

/** A login of the agent's own: the agent can read it, and Codex sends some requests with it. */
export async function checkAgentLogin(agentHome: string, codexHome: string): Promise<Finding> {
  const name = 'codex login';
  const document = await new FileAuthStore(agentHome).load().catch(() => null);
  if (!document || document.isEmpty) return ok(name, `none in ${agentHome}`);
  if (resolve(agentHome) === resolve(codexHome)) {
    const remedy = 'give the agent another CODEX_HOME, or use "run --isolate-home"';
    return warning(
      name,
      `the agent's ${agentHome} is the sidecar's: it can read the login`,
      remedy,
    );
  }
  const problem = `${agentHome} holds a login: Codex may go past the sidecar with it`;
  return warning(name, problem, `run "codex logout" with CODEX_HOME=${agentHome}`);
}

export async function readIfThere(folder: string, file: string): Promise<string | null> {
  return readFile(join(folder, file), 'utf8').catch(() => null);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
