import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { parse as parseToml } from '@decimalturn/toml-patch';
import type { Test } from 'tap';
import type { Config, PartialConfig } from '../../src/config/resolve.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import { send } from './exchange.ts';
import { makeFile, run } from './program.ts';
import { chatGptLogin, type SidecarWithEmulator, startSidecarWithEmulator } from './sidecar.ts';
import { makeTls } from './tls-listener.ts';

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

/** The configuration that it runs with. */
export async function configOf(t: Test, { config, env }: Deployed): Promise<Config> {
  const { SIDECAR_CONFIG: _, ...variables } = env;
  const settings = await readSettings(variables, await makeFile(t, 'config.json', config), {});
  return settings.config;
}

/** What holds for a sidecar wherever it is deployed. */
export function checkDeployed(t: Test, sidecar: Deployed): void {
  t.test('the command and its flags exist', async (t) => {
    const [command = '', ...rest] = sidecar.args;
    const flags = await flagsOf(t, command);
    for (const flag of rest.filter((word) => word.startsWith('-'))) {
      t.ok(flags.includes(flag), flag);
    }
  });

  t.test('every variable is one that the program reads', async (t) => {
    const known = await variablesRead();
    for (const name of Object.keys(sidecar.env)) t.ok(known.has(name), name);
  });

  t.test('every file that it names is mounted', async (t) => {
    const { clients, upstream, store, listen } = await configOf(t, sidecar);
    const { certFile, keyFile, clientCaFile } = listen.tls;
    const named = Object.entries(sidecar.env).filter(([name]) => /(_FILE|_CONFIG)$/.test(name));
    const settings = [clients.tokensFile, upstream.caFile, store.caFile, store.keyFile];
    const paths = [...settings, certFile, keyFile, clientCaFile, ...named.map(([, path]) => path)];
    for (const path of paths.filter((path) => path !== null)) {
      const mounted = sidecar.mounts.some((mount) => `${path}/`.startsWith(`${mount}/`));
      t.ok(mounted, path);
    }
  });

  t.test('it listens beyond loopback, and asks for client tokens', async (t) => {
    const { listen, clients } = await configOf(t, sidecar);
    t.equal(listen.host, '0.0.0.0');
    t.ok(clients.tokensFile);
  });

  t.test('there is time for the drain', async (t) => {
    const { limits, store } = await configOf(t, sidecar);
    // A refresh that is under way is waited for.
    const afterwards = store.kind === 'postgres' ? 34 : 5;
    t.ok(sidecar.graceSeconds > limits.drainSeconds + afterwards);
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
    const { host, port, pathname, protocol } = new URL(String(baseUrl));
    const { listen } = await configOf(t, sidecar);
    t.equal(Number(port), listen.port);
    t.equal(protocol, listen.tls.certFile === null ? 'http:' : 'https:');
    if (protocol === 'https:') t.ok(agent.env.includes('CODEX_CA_CERTIFICATE'), 'it trusts it');

    const { url, tls, emulator } = await startDeployed(t, sidecar);
    const turn = (headers: Record<string, string>) =>
      send(`${url}${pathname}/responses`, { method: 'POST', headers: { host, ...headers }, tls });
    t.equal((await turn({})).status, 401);
    t.equal((await turn({ authorization: `Bearer ${TOKEN}` })).status, 200);
    t.match(emulator.records.at(-1)?.auth, { kind: 'bearer', verified: true });
  });
}

/**
 * It with its own settings, in front of the emulated backend. Only the port is free, and the files
 * are elsewhere.
 */
export async function startDeployed(
  t: Test,
  sidecar: Deployed,
  credential = chatGptLogin,
): Promise<SidecarWithEmulator & { tls: ConnectionOptions }> {
  const { listen, clients } = await configOf(t, sidecar);
  const own = listen.tls.certFile === null ? null : await makeTls(t);
  const digest = createHash('sha256').update(TOKEN).digest('hex');
  const tokensFile = await makeFile(t, 'client-tokens', `agent:${digest}\n`);
  const stack = await startSidecarWithEmulator(t, {
    credential,
    config: {
      listen: { ...listen, port: 0, tls: { ...listen.tls, ...own?.config } },
      clients: { ...clients, tokensFile },
    },
  });
  // The address of the container, as others reach it, where this machine has such a one.
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const outer = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  const scheme = own === null ? 'http' : 'https';
  const url = `${scheme}://${outer?.address ?? '127.0.0.1'}:${stack.port}`;
  // Its certificate is for other names, which a probe does not mind.
  return { ...stack, url, tls: { rejectUnauthorized: false } };
}
