import { execFileSync, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { resolveConfig } from '../../src/config/resolve.ts';
import { ConfigSchema } from '../../src/config/schema.ts';
import { openDispatcher } from '../../src/sidecar/preflight.ts';
import { readSettings } from '../../src/sidecar/settings.ts';

async function configFile(t: Test, content: string | Buffer | object): Promise<string> {
  const path = join(t.testdir(), 'config.json');
  const isText = typeof content === 'string' || Buffer.isBuffer(content);
  await writeFile(path, isText ? content : JSON.stringify(content));
  return path;
}

t.test('each layer is checked by itself, and a wrong value is said with its layer', async (t) => {
  const wrong = { listen: { port: 'x' }, log: { level: 'info' } };
  const path = await configFile(t, wrong);
  const inFile = { message: `config file ${path}: listen.port must be integer` };
  t.test('a flag does not cover the file', async (t) => {
    await t.rejects(readSettings({}, path, { listen: { port: 0 } }), inFile);
  });
  t.test('a variable does not cover the file', async (t) => {
    await t.rejects(readSettings({ SIDECAR_PORT: '0' }, path, {}), inFile);
  });
  t.test('a flag does not cover a variable', async (t) => {
    await t.rejects(readSettings({ SIDECAR_PORT: 'x' }, null, { listen: { port: 0 } }), {
      message: 'SIDECAR_PORT (listen.port) must be integer',
    });
  });
  t.test('checks beyond the schema are made for each layer as well', async (t) => {
    const url = await configFile(t, { upstream: { chatgptBaseUrl: 'http://upstream.example' } });
    const flags = { upstream: { chatgptBaseUrl: 'https://upstream.example' } };
    await t.rejects(readSettings({}, url, flags), {
      message: /^config file .*: upstream\.chatgptBaseUrl must use https/,
    });
  });
});

t.test('every path of the configuration and the environment knows the home folder', async (t) => {
  const { config } = await readSettings(
    { SIDECAR_CLIENT_TOKENS_FILE: '~/tokens' },
    await configFile(t, { codexHome: '~/.codex', upstream: { caFile: '~/ca.pem' } }),
    { listen: { socket: '~/socket' }, log: { audit: '~/audit.log' } },
  );
  t.equal(config.codexHome, join(homedir(), '.codex'));
  t.equal(config.upstream.caFile, join(homedir(), 'ca.pem'));
  t.equal(config.clients.tokensFile, join(homedir(), 'tokens'));
  t.equal(config.listen.socket, join(homedir(), 'socket'));
  t.equal(config.log.audit, join(homedir(), 'audit.log'));
  await t.rejects(readSettings({ CODEX_HOME: '~root/.codex' }, null, {}), {
    message: /^CODEX_HOME \(codexHome\) names the home folder of another user/,
  });
  await t.rejects(readSettings({}, '~root/config.json', {}), {
    message: /^config file: names the home folder of another user/,
  });
});

interface Layer {
  [key: string]: Layer | string;
}

t.test('every key that names a file or a folder counts as a path', async (t) => {
  const described: string[] = [];
  const visit = (schema: { [key: string]: unknown }, prefix: string) => {
    for (const [name, inner] of Object.entries((schema.properties ?? {}) as object)) {
      const key = prefix + name;
      const text = JSON.stringify(inner);
      if (inner.properties) visit(inner, `${key}.`);
      else if (/"description":"[^"]*\b(file|folder|path of)\b/i.test(text)) described.push(key);
    }
  };
  visit(JSON.parse(JSON.stringify(ConfigSchema)), '');
  const paths = described.filter((key) => !/^routes$|\.(socketMode|clientNames)$/.test(key));
  const layer: Layer = {};
  for (const key of paths) {
    const sections = key.split('.');
    const name = sections.pop() ?? '';
    let inner = layer;
    for (const section of sections) {
      inner[section] ??= {};
      inner = inner[section] as Layer;
    }
    inner[name] = '~/x';
  }
  const { config } = await readSettings({}, null, layer);
  t.ok(paths.length >= 5);
  t.notMatch(JSON.stringify(config), '~/x');
});

t.test('a configuration nested too deeply is refused in words', async (t) => {
  const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
  await t.rejects(readSettings({}, await configFile(t, deep), {}), {
    message: /is not valid JSON, it is nested too deeply$/,
  });
});

t.test('a configuration in any encoding of an editor is read', async (t) => {
  for (const bytes of [
    Buffer.from('\ufeff{"listen":{"port":1}}'),
    Buffer.from('\ufeff{"listen":{"port":1}}', 'utf16le'),
  ]) {
    const { config } = await readSettings({}, await configFile(t, bytes), {});
    t.equal(config.listen.port, 1);
  }
});

t.test('a secret from a pipe is read once, at each look the same', async (t) => {
  const pipe = join(t.testdir(), 'key');
  execFileSync('mkfifo', [pipe]);
  const { credentials } = await readSettings({ CODEX_API_KEY_FILE: pipe }, null, {});
  spawn('sh', ['-c', 'echo sk-made-up > "$0"', pipe]);
  t.equal((await credentials()).apiKey?.reveal(), 'sk-made-up');
  t.equal((await credentials()).apiKey?.reveal(), 'sk-made-up');
});

t.test('a secret file holds one secret, once or more often', async (t) => {
  const key = async (content: string) => {
    const path = join(t.testdir(), 'key');
    await writeFile(path, content);
    const { credentials } = await readSettings({ CODEX_API_KEY_FILE: path }, null, {});
    return (await credentials()).apiKey?.reveal();
  };
  t.equal(await key('sk-made-up\r\n\n'), 'sk-made-up');
  t.equal(await key('sk-made-up\nsk-made-up\n'), 'sk-made-up', 'a pipe served twice');
  t.equal(await key(' \n'), undefined);
  await t.rejects(key('sk-one\nsk-two\n'), { message: /holds more than one line$/ });
});

t.test('a proxy that is not used is said', async (t) => {
  const warnings = async (env: Record<string, string>) =>
    (await readSettings(env, null, {})).warnings;
  const unused = /^ALL_PROXY is not used; set HTTPS_PROXY/;
  t.match(await warnings({ ALL_PROXY: 'socks5://127.0.0.1:1' }), [unused]);
  t.match(await warnings({ all_proxy: 'http://127.0.0.1:1' }), [unused]);
  t.strictSame(await warnings({ ALL_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:1' }), []);
});

t.test('a SOCKS proxy stops nobody who asks no upstream with https', async (t) => {
  const env = { HTTPS_PROXY: 'socks5://127.0.0.1:1' };
  const local = 'http://127.0.0.1:1/x';
  const upstream = {
    ...{ chatgptBaseUrl: local, openaiBaseUrl: local, authApiBaseUrl: local },
    ...{ oauthTokenUrl: local, oauthRevokeUrl: local },
  };
  const issuer = 'oauthIssuer' in resolveConfig({}).upstream ? { oauthIssuer: local } : {};
  const loopback = await readSettings(env, null, { upstream: { ...upstream, ...issuer } });
  const dispatcher = await openDispatcher(loopback);
  await dispatcher.destroy();
  await t.rejects(openDispatcher(await readSettings(env, null, {})), {
    message: /^HTTPS_PROXY names a SOCKS proxy/,
  });
});

t.test(
  'variables of other programs that use PostgreSQL are named, by a shared store alone',
  async (t) => {
    const others = { PGHOST: 'elsewhere', PGPASSWORD: 'hush' };
    const warning = 'PGHOST, PGPASSWORD set nothing here; SIDECAR_STORE_URL_FILE says everything';
    const { warnings } = await readSettings({ ...others, SIDECAR_STORE: 'postgres' }, null, {});
    t.strictSame(warnings, [warning]);
    t.strictSame((await readSettings(others, null, {})).warnings, []);
  },
);
