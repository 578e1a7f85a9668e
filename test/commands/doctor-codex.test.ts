import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { VERSION } from '../../src/base/version.ts';
import { snippet } from '../../src/commands/codex/config-toml.ts';
import { providerFields } from '../../src/commands/codex/provider.ts';
import {
  checkAgentLogin,
  checkCodex,
  checkCodexConfig,
  readProfiles,
} from '../../src/commands/doctor/codex.ts';
import type { Finding } from '../../src/commands/doctor/finding.ts';
import { checkListener } from '../../src/commands/doctor/listener.ts';
import { type Config, type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { readStatus, untilStatus } from '../helpers/until-status.ts';
import { closedPort, startUpstream } from '../helpers/upstream.ts';

const listening = (port: number) => resolveConfig({ listen: { port } });

async function listenerFinding(config: Config): Promise<Finding> {
  const [finding, ...more] = await checkListener(config, null);
  if (!finding || more.length > 0) throw new Error('not one finding');
  return finding;
}

t.test('a sidecar that listens', async (t) => {
  const { port, url } = await startSidecarWithEmulator(t);
  await untilStatus(url, ({ status }) => status !== 'starting');
  t.match(await listenerFinding(listening(port)), { outcome: 'ok', message: /ready$/ });
});

t.test('a sidecar that cannot serve', async (t) => {
  const { port, url } = await startSidecarWithEmulator(t, {
    credential: () => ({ authJson: null }),
  });
  await untilStatus(url, ({ status }) => status !== 'starting');
  t.match(await listenerFinding(listening(port)), {
    outcome: 'failure',
    message: /unauthenticated: .*no credential/,
  });
});

t.test('no sidecar', async (t) => {
  t.match(await listenerFinding(listening(await closedPort())), {
    outcome: 'warning',
    remedy: /serve/,
  });
  t.match(await listenerFinding(listening(0)), { outcome: 'warning', remedy: 'set listen.port' });
  const socket = join(t.testdir({}), 'none');
  t.match(await listenerFinding(resolveConfig({ listen: { socket } })), { outcome: 'warning' });
});

const answers = async (t: Test, body: string) => {
  const { port } = await startUpstream(t, (_request, response) => response.end(body));
  return listenerFinding(listening(port));
};

t.test('something else at its address', async (t) => {
  t.match(await answers(t, '<html>'), { outcome: 'failure', message: /is it a sidecar\?/ });
});

t.test('a sidecar that starts, and one of another version', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const status = await readStatus(url);
  const old = JSON.stringify({ ...status, status: 'ready', version: '0.0.1' });
  t.match(await answers(t, JSON.stringify({ ...status, status: 'starting' })), {
    outcome: 'warning',
    remedy: 'run doctor again in a moment',
  });
  t.match(await answers(t, old), {
    outcome: 'warning',
    message: new RegExp(`^version 0\\.0\\.1 runs at .*, but this is version ${VERSION}$`),
  });
});

async function codexIn(t: Test, script: string | null) {
  const folder = t.testdir({});
  if (script !== null)
    writeFileSync(join(folder, 'codex'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return checkCodex({ PATH: `${folder}:/usr/bin:/bin`, HOME: folder, CODEX_API_KEY: 'secret-key' });
}

t.test('the Codex CLI', async (t) => {
  t.match(await codexIn(t, 'echo "codex-cli 1.2.3 $CODEX_API_KEY"'), {
    outcome: 'ok',
    message: /^codex-cli 1\.2\.3 \(.*codex\)$/,
  });
  t.match(await codexIn(t, 'exit 3'), { outcome: 'failure', message: /--version failed/ });
});

t.test('no Codex CLI', async (t) => {
  t.match(await codexIn(t, null), { outcome: 'warning', message: 'not in PATH' });
});

const URL_HERE = 'http://127.0.0.1:8787/backend-api/codex';
const TOKEN = { experimental_bearer_token: 'the-token' };
const toml = (fields: object = {}, url = URL_HERE) =>
  snippet({ ...providerFields(url, TOKEN), ...fields }).join('\n');
const without = (name: string) => toml().replace(new RegExp(`^${name}.*$`, 'm'), '');
const DIGEST = createHash('sha256').update('the-token').digest('hex');
const PROXY = { HTTPS_PROXY: 'http://p:1' };

interface Given {
  text: string | null;
  listen?: PartialConfig;
  tokens?: string;
  env?: Record<string, string>;
}
const CONFIGS: [name: string, given: Given, outcome: string, message: RegExp][] = [
  [
    'what codex-config writes',
    { text: toml() },
    'ok',
    /points at the sidecar \(provider "sidecar"\)$/,
  ],
  [
    'another name of loopback',
    { text: toml({}, URL_HERE.replace('127.0.0.1', 'localhost')) },
    'ok',
    /./,
  ],
  ['a wildcard listener', { text: toml(), listen: { host: '0.0.0.0' } }, 'ok', /./],
  ['a known token', { text: toml(), tokens: `agent:${DIGEST}\n` }, 'ok', /./],
  [
    'an unknown token',
    { text: toml(), tokens: `a:${'0'.repeat(64)}\n` },
    'failure',
    /not in clients/,
  ],
  [
    'a token in a variable',
    { text: `${without('experimental')}\nenv_key = "X"`, tokens: 'a:b' },
    'ok',
    /./,
  ],
  ['no token', { text: without('experimental') }, 'failure', /would send its own login/],
  ['the chat protocol', { text: toml({ wire_api: 'chat' }) }, 'failure', /wire_api/],
  ['another name', { text: toml({ name: 'Sidecar' }) }, 'warning', /does not compact remotely/],
  ['no WebSockets', { text: without('supports') }, 'warning', /HTTP only/],
  [
    'another port',
    { text: toml(), listen: { port: 9 } },
    'warning',
    /points Codex at http:\/\/127\.0\.0\.1:8787, not/,
  ],
  ['another path', { text: toml({}, 'http://127.0.0.1:8787/v1') }, 'warning', /not at the sidecar/],
  ['a socket', { text: toml(), listen: { socket: '/s' } }, 'warning', /not at the sidecar/],
  ['no file', { text: null }, 'warning', /does not exist/],
  ['nothing about it', { text: 'model = "m"' }, 'warning', /provider "openai", not/],
  [
    'a provider that is not there',
    { text: 'model_provider = "x"' },
    'warning',
    /provider "x", not/,
  ],
  ['no TOML', { text: 'token = "secret-token' }, 'failure', /line 1 is not valid TOML/],
  [
    'a profile with another provider',
    { text: `profile = "p"\n${toml()}\n[profiles.p]\nmodel_provider = "openai"` },
    'warning',
    /provider "openai", not/,
  ],
  ['the built-in provider', { text: `openai_base_url = "${URL_HERE}"` }, 'ok', /provider "openai"/],
  [
    'a proxy in between',
    { text: toml(), env: PROXY },
    'warning',
    /requests for the sidecar to an HTTP proxy/,
  ],
  [
    'a proxy that is passed by',
    { text: toml(), env: { ...PROXY, NO_PROXY: '127.0.0.1' } },
    'ok',
    /./,
  ],
];

for (const [name, { text, listen = {}, tokens = null, env = {} }, outcome, message] of CONFIGS) {
  t.test(`config.toml with ${name}`, async (t) => {
    const config = resolveConfig({ listen });
    const finding = checkCodexConfig({
      text,
      path: '/c',
      listen: config.listen,
      certificate: null,
      tokens,
      env,
    });
    t.equal(finding.outcome, outcome, finding.message);
    t.match(finding.message, message);
    t.notMatch(JSON.stringify(finding), /the-token|secret-token/);
  });
}

t.test('a login in the home of the agent', async (t) => {
  const home = t.testdir({ 'auth.json': '{"OPENAI_API_KEY":"sk-secret"}' });
  const other = await checkAgentLogin(home, '/elsewhere');
  t.match(other, { outcome: 'warning', remedy: `run "codex logout" with CODEX_HOME=${home}` });
  t.notMatch(JSON.stringify(other), 'sk-secret');
  t.match(await checkAgentLogin(home, `${home}/`), {
    outcome: 'warning',
    message: /the agent and the sidecar share/,
  });
  t.match(await checkAgentLogin('/nonexistent', home), { outcome: 'absent' });
});

t.test(
  'a configuration with which inference goes past the sidecar, in profiles as well',
  async (t) => {
    const listen = resolveConfig({ listen: { port: 8787 } }).listen;
    const origin = 'http://127.0.0.1:8787';
    const past = `chatgpt_base_url = "${origin}/backend-api"\n`;
    const builtIn = `openai_base_url = "${origin}/backend-api/codex"\n`;
    const own = (auth: boolean) =>
      `model_provider = "sidecar"\n[model_providers.sidecar]\nname = "OpenAI"\nbase_url = "${origin}/backend-api/codex"\nwire_api = "responses"\nsupports_websockets = true\nexperimental_bearer_token = "x"\nrequires_openai_auth = ${auth}\n`;
    const check = (text: string | null, profile?: string) =>
      checkCodexConfig({
        ...{ text, path: '/home/config.toml', listen, certificate: null, tokens: null, env: {} },
        ...(profile === undefined
          ? {}
          : { profile: { text: profile, path: '/home/x.config.toml' } }),
      });
    t.match(check(past + builtIn), {
      outcome: 'warning',
      message: /sends inference past the sidecar/,
    });
    t.match(check(past + own(true)), { outcome: 'warning', message: /past the sidecar/ });
    t.equal(check(past + own(false)).outcome, 'ok');
    t.equal(check(builtIn).outcome, 'ok');
    t.match(check(own(true), past), {
      outcome: 'warning',
      message: /^\/home\/x\.config\.toml sets/,
    });
    t.match(check(own(false), 'model_provider = "ollama"\n'), {
      outcome: 'warning',
      message: /^\/home\/x\.config\.toml points Codex at the provider "ollama"/,
    });
    t.equal(check(own(false), 'model = "m"\n').outcome, 'ok');
  },
);

t.test('profile files are found beside config.toml', async (t) => {
  const folder = t.testdir({ 'config.toml': '', 'careful.config.toml': 'a = 1', 'x.toml': '' });
  t.strictSame(await readProfiles(folder), [
    { path: join(folder, 'careful.config.toml'), text: 'a = 1' },
  ]);
  t.strictSame(await readProfiles(join(folder, 'none')), []);
});
