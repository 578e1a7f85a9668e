import { rootCertificates } from 'node:tls';
import t, { type Test } from 'tap';
import { readAuthorities, trustSources } from '../../src/sidecar/authorities.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { send } from '../helpers/exchange.ts';
import { makeFile, type ProgramOptions, start } from '../helpers/program.ts';
import { MODELS } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const [FIRST = '', SECOND = ''] = rootCertificates;

const settingsOf = (caFile: string | null, env: Record<string, string> = {}) =>
  readSettings(env, null, { upstream: { caFile } });

async function refuses(t: Test, content: string, problem: (path: string) => string): Promise<void> {
  const path = await makeFile(t, 'ca.pem', content);
  await t.rejects(readAuthorities(await settingsOf(path)), {
    name: 'ConfigError',
    message: `upstream.caFile: ${problem(path)}`,
  });
  for (const name of ['NODE_EXTRA_CA_CERTS', 'CODEX_CA_CERTIFICATE', 'SSL_CERT_FILE']) {
    const read = readAuthorities(await settingsOf(null, { [name]: path }));
    await t.rejects(read, { name: 'ConfigError', message: `${name}: ${problem(path)}` });
  }
}

t.test('certificates in PEM form, with whatever stands between them', async (t) => {
  const path = await makeFile(t, 'ca.pem', `# ours\n${FIRST}\nsubject=CN\n${SECOND}\n`);
  const [first, second, ...others] = await readAuthorities(await settingsOf(path));
  t.match(first, FIRST);
  t.match(second, SECOND);
  t.strictSame(others, []);
  t.strictSame(await readAuthorities(await settingsOf(null)), []);
});

t.test('a file that holds none is refused, and not quoted', async (t) => {
  const key = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
  for (const content of ['', 'hush', key]) {
    await refuses(t, content, (path) => `${path} holds no certificate in PEM form`);
  }
});

t.test('a damaged one is refused by its place', async (t) => {
  const damaged = SECOND.replace('\nMII', '\nAAA');
  const problem = (path: string) => `certificate 2 in ${path} is damaged`;
  await refuses(t, `${FIRST}\n${damaged}\n`, problem);
  await refuses(t, `${FIRST}\n${SECOND.slice(0, 200)}`, problem);
  await refuses(t, `${damaged}\n${FIRST}`, (path) => `certificate 1 in ${path} is damaged`);
});

t.test('the sources are named, those of Node.js first', async (t) => {
  const env = {
    NODE_OPTIONS: '--enable-source-maps --use-openssl-ca',
    NODE_EXTRA_CA_CERTS: '/extra',
    CODEX_CA_CERTIFICATE: '/codex',
    SSL_CERT_FILE: '/ssl',
  };
  t.strictSame(trustSources(await settingsOf('/ours', env)), [
    'Node.js (--use-openssl-ca)',
    'upstream.caFile /ours',
    'NODE_EXTRA_CA_CERTS /extra',
    'CODEX_CA_CERTIFICATE /codex',
    'SSL_CERT_FILE /ssl',
  ]);
  t.strictSame(trustSources(await settingsOf(null, { SSL_CERT_FILE: ' ' })), ['Node.js']);
});

// Node.js reads its own variables only at the start of a process.
t.test('authorities add up', async (t) => {
  const tls = await makeCertificate(t);
  const { path: other } = await makeCertificate(t);
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'), tls);
  const openaiBaseUrl = `${upstream.origin}/v1`;
  const withOther = { upstream: { openaiBaseUrl, caFile: other } };
  const openssl = { nodeFlags: ['--use-openssl-ca'] };
  const cases: [what: string, env: Record<string, string>, config: object, ProgramOptions?][] = [
    ['of caFile', {}, { upstream: { openaiBaseUrl, caFile: tls.path } }],
    ['of NODE_EXTRA_CA_CERTS', { NODE_EXTRA_CA_CERTS: tls.path }, withOther],
    ['of --use-openssl-ca', { SSL_CERT_FILE: tls.path }, withOther, openssl],
    [
      'of CODEX_CA_CERTIFICATE',
      { CODEX_CA_CERTIFICATE: tls.path, SSL_CERT_FILE: other },
      withOther,
    ],
    ['of SSL_CERT_FILE', { SSL_CERT_FILE: tls.path, CODEX_CA_CERTIFICATE: other }, withOther],
  ];
  for (const [what, env, config, options] of cases) {
    t.test(`one ${what}, beside others`, async (t) => {
      const file = await makeFile(t, 'config.json', { listen: { port: 0 }, ...config });
      const args = ['serve', '--config', file];
      const program = start(t, args, { CODEX_API_KEY: 'sk-of-this-test', ...env }, options);
      const { url, authorities } = await program.logged('listening');
      t.equal((await send(url + MODELS)).text, 'ok');
      const given = [...Object.values(env), (config as typeof withOther).upstream.caFile];
      for (const path of given) t.match(String(authorities), path);
    });
  }
  t.test('none without them', async (t) => {
    const file = await makeFile(t, 'config.json', { listen: { port: 0 }, ...withOther });
    const program = start(t, ['serve', '--config', file], { CODEX_API_KEY: 'sk-of-this-test' });
    const { url } = await program.logged('listening');
    t.match(await send(url + MODELS), { status: 502, text: 'UPSTREAM_TLS' });
  });
});
