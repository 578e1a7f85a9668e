import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { type CodexConfigOptions, codexConfig } from '../../src/commands/codex/configure.ts';
import { makeFile, makeFolder, run } from '../helpers/program.ts';

t.jobs = 2;

const SNIPPET = (url: string, token: string) => `model_provider = "sidecar"

[model_providers.sidecar]
name = "OpenAI"
base_url = "${url}/backend-api/codex"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = true
experimental_bearer_token = "${token}"
`;
const DEFAULT = SNIPPET('http://127.0.0.1:8787', 'the-token');
const TOKEN = ['--token-file', '-'];

/** `codex-config` for a home of its own, with a client token on standard input. */
async function openHome(t: Test) {
  const home = await makeFolder(t);
  const path = join(home, 'config.toml');
  const command = (args: string[], env: Record<string, string> = {}) =>
    run(t, ['codex-config', ...args], { CODEX_HOME: home, ...env }, { input: 'the-token\n' });
  const backups = () => readdirSync(home).filter((name) => name.endsWith('.bak'));
  return { home, path, command, backups };
}

t.test('it prints the snippet for the configured listener', async (t) => {
  const { command, home } = await openHome(t);
  t.match(await command(TOKEN), { code: 0, stdout: DEFAULT, stderr: '' });
  const tokenFile = await makeFile(t, 'token', 'other-token\n');
  t.match(await command(['--host', '::1', '--port', '9', '--token-file', tokenFile]), {
    stdout: SNIPPET('http://[::1]:9', 'other-token'),
  });
  t.match(await command([...TOKEN, '--url', 'https://sidecar.example/'], {}), {
    stdout: SNIPPET('https://sidecar.example', 'the-token'),
  });
  t.strictSame(readdirSync(home), [], 'nothing is written');
});

t.test('without a token it leaves a gap and says how to fill it', async (t) => {
  const { command } = await openHome(t);
  const { code, stdout, stderr } = await command([]);
  t.equal(code, 0);
  t.equal(stdout, SNIPPET('http://127.0.0.1:8787', 'PUT THE CLIENT TOKEN HERE'));
  t.match(stderr, /^codex-auth-sidecar: the client token is missing: .* --token-file FILE .*\n$/);
});

t.test('a proxy that would come in between is a hint', async (t) => {
  const { command } = await openHome(t);
  const proxy = { HTTPS_PROXY: 'http://127.0.0.1:9' };
  t.match((await command(TOKEN, proxy)).stderr, /; set NO_PROXY=127\.0\.0\.1 for Codex\n$/);
  t.equal((await command(TOKEN, { ...proxy, NO_PROXY: 'a,127.0.0.1' })).stderr, '');
});

t.test('--write makes the file, for its owner alone', async (t) => {
  const { command, path } = await openHome(t);
  t.match(await command([...TOKEN, '--write']), {
    code: 0,
    stdout: `${path} now points at http://127.0.0.1:8787/backend-api/codex\n`,
    stderr: '',
  });
  t.equal(readFileSync(path, 'utf8'), DEFAULT);
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('--write keeps the rest and a copy, and does nothing the second time', async (t) => {
  const { command, path, home, backups } = await openHome(t);
  const old = '# mine\nmodel = "m" # why\n';
  writeFileSync(path, old);
  const first = await command([...TOKEN, '--write']);
  const [backup = ''] = backups();
  t.equal(
    first.stdout,
    `${path} now points at http://127.0.0.1:8787/backend-api/codex; the previous version is in ${join(home, backup)}\n`,
  );
  t.equal(readFileSync(join(home, backup), 'utf8'), old);
  t.equal(statSync(join(home, backup)).mode & 0o777, 0o600);
  const text = readFileSync(path, 'utf8');
  t.ok(text.includes(old));
  const { ino } = statSync(path);
  t.match(await command([...TOKEN, '--write']), { code: 0, stdout: / already points at .*\n$/ });
  t.equal(statSync(path).ino, ino, 'not even replaced');
  t.equal(backups().length, 1);
});

t.test('--write for another port keeps the token that is there', async (t) => {
  const { command, path } = await openHome(t);
  writeFileSync(path, DEFAULT);
  t.equal((await command(['--write', '--port', '9'])).code, 0);
  t.equal(readFileSync(path, 'utf8'), SNIPPET('http://127.0.0.1:9', 'the-token'));
});

t.test('--write without any token', async (t) => {
  const { command, home } = await openHome(t);
  t.match(await command(['--write']), {
    code: 2,
    stdout: '',
    stderr: /^codex-auth-sidecar: wrong configuration: --write needs the client token: .*\n$/,
  });
  t.strictSame(readdirSync(home), []);
});

t.test('--write says that the agent could use a login beside it', async (t) => {
  const { command, home } = await openHome(t);
  writeFileSync(join(home, 'auth.json'), '{}');
  const { stderr } = await command([...TOKEN, '--write']);
  t.match(stderr, `the agent can read and use the login in ${home}`);
});

t.test('a linked config.toml stays a link', async (t) => {
  const { command, path } = await openHome(t);
  const target = await makeFile(t, 'real.toml', '');
  symlinkSync(target, path);
  t.equal((await command([...TOKEN, '--write'])).code, 0);
  t.ok(lstatSync(path).isSymbolicLink());
  t.equal(readFileSync(target, 'utf8'), DEFAULT);
});

const REFUSED: [name: string, prepare: (path: string) => void, says: RegExp][] = [
  [
    'text that is not TOML',
    (path) => writeFileSync(path, 'a = 1\nb = "secret-token\n'),
    /config\.toml: line 2 is not valid TOML; fix it first/,
  ],
  ['bytes that are no text', (path) => writeFileSync(path, '\xff', 'latin1'), /is not UTF-8 text/],
  ['a folder', (path) => mkdirSync(path), /is not a regular file; remove it/],
  [
    'a link to nothing',
    (path) => symlinkSync('/nonexistent/x', path),
    /is a broken symbolic link; remove it/,
  ],
  [
    'a hard link',
    (path) => {
      writeFileSync(path, '');
      linkSync(path, `${path}.other`);
    },
    /has hard links, which would keep the old content/,
  ],
  [
    'what belongs to somebody else',
    (path) => {
      writeFileSync(path, '');
      // Only root can give a file away.
      if (process.getuid?.() === 0) return chownSync(path, 65534, 65534);
      rmSync(path);
      symlinkSync('/etc/passwd', path);
    },
    /belongs to another user; run this as its owner/,
  ],
];

for (const [name, prepare, says] of REFUSED) {
  t.test(`--write refuses ${name}`, async (t) => {
    const home = await makeFolder(t);
    prepare(join(home, 'config.toml'));
    const before = readdirSync(home);
    const error = await failureOf(configFor(home, { write: true }));
    t.match(error.message, says);
    t.notMatch(error.message, 'secret-token');
    t.strictSame(readdirSync(home), before);
  });
}

t.test('what cannot be changed faithfully is left, and the lines are printed', async (t) => {
  const { command, path } = await openHome(t);
  const text = 'model_providers = { sidecar = { name = "a", env_key = "b" # c\n} }\n';
  writeFileSync(path, text);
  const { code, stdout, stderr } = await command([...TOKEN, '--write']);
  t.equal(code, 1);
  t.equal(stdout, DEFAULT);
  t.match(stderr, /was not changed: .*; add the lines above by hand\n$/);
  t.equal(readFileSync(path, 'utf8'), text);
});

const DIGEST = `agent:${'0'.repeat(64)}`;
const MISUSED: [name: string, options: Partial<CodexConfigOptions>, says: RegExp][] = [
  ['a URL without http', { url: 'sidecar:8787' }, /--url must be an http or https URL/],
  [
    'a socket',
    { flags: { listen: { socket: '/run/s' } } },
    /but Codex supports TCP only; pass --url/,
  ],
  ['a port of the moment', { flags: { listen: { port: 0 } } }, /so the port is unknown; pass/],
  [
    'no such file',
    { tokenFile: '/nonexistent' },
    /--token-file: cannot read \/nonexistent \(ENOENT\)/,
  ],
  ['a tokens file', { readInput: async () => DIGEST }, /the file holds digests/],
  ['two words', { readInput: async () => 'two words' }, /the token holds a space/],
  ['nothing', { readInput: async () => '\n' }, /it holds no token/],
];

for (const [name, options, says] of MISUSED) {
  t.test(`wrong use: ${name}`, async (t) => {
    const error = await failureOf(configFor('/nonexistent', options));
    t.ok(error instanceof ConfigError);
    t.match(error.message, says);
  });
}

/** The same command in this process. */
function configFor(home: string, options: Partial<CodexConfigOptions>): Promise<void> {
  return codexConfig({
    env: { CODEX_HOME: home },
    configFile: null,
    flags: {},
    url: null,
    tokenFile: '-',
    readInput: async () => 'the-token',
    write: false,
    login: false,
    print: (line) => {
      throw new Error(`printed ${line}`);
    },
    warn: () => undefined,
    ...options,
  });
}

async function failureOf(running: Promise<void>): Promise<Error> {
  return running.then(
    () => new Error('it succeeded'),
    (error: Error) => error,
  );
}
