import { readFileSync } from 'node:fs';
import t from 'tap';
import { run } from '../helpers/program.ts';

t.jobs = 4;

const ADDRESS = ['--config', '--host', '--port', '--socket'];
const COMMANDS: Record<string, string[]> = {
  serve: [
    ...ADDRESS,
    ...['--server-info', '--log-level', '--pretty', '--no-pretty', '--allow-unauthenticated'],
  ],
  healthcheck: ADDRESS,
  config: [],
  login: [
    ...['--config', '--device-auth', '--replace', '--with-agent-identity', '--with-access-token'],
    ...['--with-api-key', '--import', '--take'],
  ],
  logout: ['--config', '--revoke'],
  status: [...ADDRESS, '--url', '--json', '--clients', '--watch'],
  doctor: [...ADDRESS, '--agent-home', '--json'],
  run: ['--config', '--share-home', '--isolate-home', '--log-file', '--log-level', '--verbose'],
  'codex-config': [...ADDRESS, '--url', '--token-file', '--write', '--login'],
  token: [],
  store: [],
  emulator: ['--host', '--port', '--codex-home'],
  demo: [],
  completion: [],
  help: [],
  version: [],
};

/** The script for bash; the same for all. */
let script: ReturnType<typeof run> | null = null;

for (const word of ['--version', '-v', 'version']) {
  t.test(`${word} prints the version of package.json`, async (t) => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    t.strictSame(await run(t, [word]), {
      code: 0,
      signal: null,
      stdout: `${version}\n`,
      stderr: '',
    });
  });
}

for (const word of ['--help', '-h', 'help']) {
  t.test(`${word} lists every command`, async (t) => {
    const { code, stdout, stderr } = await run(t, [word]);
    t.equal(code, 0);
    t.equal(stderr, '');
    const listed = [...stdout.matchAll(/^ {2}([a-z][a-z-]*)(?: |$)/gm)].map(([, name]) => name);
    t.strictSame(listed, Object.keys(COMMANDS));
  });
}

for (const [words, same] of [
  [
    ['help', 'run'],
    ['run', '--help'],
  ],
  [
    ['help', 'token', 'add'],
    ['token', 'add', '-h'],
  ],
] as const) {
  t.test(`${words.join(' ')} is ${same.join(' ')}`, async (t) => {
    const [help, other] = await Promise.all([run(t, [...words]), run(t, [...same])]);
    t.match(help.stdout, /^Usage: codex-auth-sidecar /);
    t.strictSame(help, other);
  });
}

for (const [command, options] of Object.entries(COMMANDS)) {
  t.test(`${command} --help names each of its options`, async (t) => {
    const { code, stdout, stderr } = await run(t, [command, '--help']);
    t.equal(code, 0);
    t.equal(stderr, '');
    const listed = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name);
    t.strictSame(listed, [...options, '--help']);
  });

  t.test(`shells complete ${command} and each of its options`, async (t) => {
    script ??= run(t, ['completion', 'bash']);
    const { stdout } = await script;
    const words = new RegExp(`^ {2}'${command}'\\) word='(.*)' ;;$`, 'm').exec(stdout)?.[1];
    t.strictSame(words?.split(' ').slice(-1 - options.length), [...options, '--help']);
  });
}

const HINT = '(--help lists the commands and options)';
const MISUSES: { args: string[]; says: string }[] = [
  { args: ['token'], says: `choose add, set, list or remove ${HINT}` },
  { args: ['store'], says: `choose init, key, rekey, status or export ${HINT}` },
  { args: ['token', 'ad'], says: `unknown command 'ad' (Did you mean add?) ${HINT}` },
  { args: ['serv'], says: `unknown command 'serv' (Did you mean serve?) ${HINT}` },
  { args: ['statsu', '--json'], says: `unknown command 'statsu' (Did you mean status?) ${HINT}` },
  { args: ['help', 'tokn'], says: `unknown command 'tokn' (Did you mean token?) ${HINT}` },
  { args: ['help', 'token', 'ad'], says: `unknown command 'ad' (Did you mean add?) ${HINT}` },
  { args: ['unlike-any'], says: `unknown command 'unlike-any' ${HINT}` },
  { args: ['--no-such'], says: `unknown option '--no-such' ${HINT}` },
  {
    args: ['healthcheck', '--prot', '1'],
    says: `unknown option '--prot' (Did you mean --port?) ${HINT}`,
  },
  ...['http', '65536'].map((port) => ({
    args: ['serve', `--port=${port}`],
    says: `option '--port <number>' argument '${port}' is invalid. it must be a number from 0 to 65535 ${HINT}`,
  })),
];

for (const { args, says } of MISUSES) {
  t.test(`wrong usage: ${args.join(' ')}`, async (t) => {
    t.strictSame(await run(t, args), {
      code: 2,
      signal: null,
      stdout: '',
      stderr: `codex-auth-sidecar: ${says}\n`,
    });
  });
}
