import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse as parseToml } from '@decimalturn/toml-patch';
import type { Test } from 'tap';
import { type Caller, checkAccess } from '../../src/access/caller.ts';
import { parseClientTokens } from '../../src/access/client-tokens.ts';
import { readSettings } from '../../src/commands/environment.ts';
import { type Config, type PartialConfig, resolveConfig } from '../../src/config.ts';
import { environmentLayer } from '../../src/config-environment.ts';
import { LiveConfig } from '../../src/live-config.ts';
import { matchRoute } from '../../src/proxy/routes.ts';
import { run } from './program.ts';

/** A sidecar as a manifest describes it, and the agent beside it. */
export interface Deployed {
  /** Arguments of the command. */
  args: readonly string[];
  env: Record<string, string>;
  /** What stands in the file that SIDECAR_CONFIG names; empty without one. */
  config: PartialConfig;
  /** Paths that are mounted; whatever is below a folder counts too. */
  mounts: readonly string[];
  /** Seconds between SIGTERM and SIGKILL. */
  graceSeconds: number;
}

export interface DeployedAgent {
  /** Codex's config.toml. */
  codex: string;
  /** Names of its environment variables. */
  env: readonly string[];
}

const TOKEN = 'token-of-the-agent';
const LISTENING_ADDRESS = '10.1.2.3';

export const read = (path: string) => readFileSync(path, 'utf8');

/** Every variable that the program looks at. */
export async function variablesRead(): Promise<Set<string>> {
  const names = new Set<string>();
  const env = new Proxy<Record<string, string>>(
    {},
    { get: (_, name) => void names.add(String(name)) },
  );
  const { credentials } = await readSettings(env, null, {});
  await credentials();
  return names;
}

/** The options that a command has. */
export async function flagsOf(t: Test, command: string): Promise<string[]> {
  const { code, stdout } = await run(t, [command, '--help']);
  t.equal(code, 0, `there is a command ${command}`);
  return stdout.match(/--[a-z-]+/g) ?? [];
}

export function configOf({ config, env }: Deployed): Config {
  return resolveConfig(config, environmentLayer(env));
}

/** What holds for a sidecar wherever it is deployed. */
export function checkDeployed(t: Test, sidecar: Deployed): void {
  t.test('the command and its flags exist', async (t) => {
    const [command = '', ...rest] = sidecar.args;
    const flags = await flagsOf(t, command);
    for (const flag of rest.filter((word) => word.startsWith('-')))
      t.ok(flags.includes(flag), flag);
  });

  t.test('every variable is one that the program reads', async (t) => {
    const known = await variablesRead();
    for (const name of Object.keys(sidecar.env)) t.ok(known.has(name), name);
  });

  t.test('every file that it names is mounted', async (t) => {
    const { clients, upstream } = configOf(sidecar);
    const named = Object.entries(sidecar.env).filter(([name]) => /(_FILE|_CONFIG)$/.test(name));
    const paths = [clients.tokensFile, upstream.caFile, ...named.map(([, path]) => path)];
    for (const path of paths.filter((path) => path !== null)) {
      const mounted = sidecar.mounts.some((mount) => `${path}/`.startsWith(`${mount}/`));
      t.ok(mounted, path);
    }
  });

  t.test('it listens beyond loopback, and asks for client tokens', async (t) => {
    const { listen, clients } = configOf(sidecar);
    t.equal(listen.host, '0.0.0.0');
    t.ok(clients.tokensFile);
  });

  t.test('there is time for the drain', async (t) => {
    t.ok(sidecar.graceSeconds > configOf(sidecar).limits.drainSeconds + 5);
  });
}

/** What holds for Codex in front of it. */
export function checkAgent(t: Test, agent: DeployedAgent, sidecar: Deployed): void {
  t.test("Codex's provider is the sidecar, with a token of its own", async (t) => {
    const { model_provider: name, model_providers: providers } = parseToml(agent.codex) as {
      model_provider: string;
      model_providers: Record<string, Record<string, unknown>>;
    };
    const { base_url: baseUrl, env_key: variable, ...provider } = providers[name] ?? {};
    t.strictSame(provider, {
      name: 'OpenAI',
      wire_api: 'responses',
      requires_openai_auth: false,
      supports_websockets: true,
    });
    t.ok(agent.env.includes(String(variable)), `${variable} is set`);
    const { host, port, pathname } = new URL(String(baseUrl));
    t.equal(Number(port), configOf(sidecar).listen.port);
    t.match(matchRoute(rulesOf(sidecar).routes, 'POST', `${pathname}/responses`, false), {
      auth: 'assertion',
    });
    t.doesNotThrow(() => call(sidecar, { host, sidecarToken: TOKEN }, 'client'));
    t.throws(() => call(sidecar, { host }, 'client'), { code: 'AUTH_CLIENT_TOKEN' });
  });
}

/** A request from elsewhere to the address of the container. */
export function call(sidecar: Deployed, from: Partial<Caller>, level: 'client' | 'open'): void {
  const caller: Caller = {
    local: false,
    host: undefined,
    localAddress: LISTENING_ADDRESS,
    origin: undefined,
    authorization: undefined,
    secFetchSite: undefined,
    sidecarToken: undefined,
    ...from,
  };
  checkAccess(caller, { level, fromOwnPage: false }, rulesOf(sidecar).rules);
}

/** As the kubelet sends it: from the node, by the address of the pod, without a token. */
export function probe(sidecar: Deployed): void {
  const { port } = configOf(sidecar).listen;
  call(sidecar, { host: `${LISTENING_ADDRESS}:${port}` }, 'open');
}

function rulesOf(sidecar: Deployed): LiveConfig {
  const digest = createHash('sha256').update(TOKEN).digest('hex');
  return new LiveConfig(configOf(sidecar), parseClientTokens(`agent:${digest}`));
}
