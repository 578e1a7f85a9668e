import { generateKeyPairSync } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mainPlace } from '../../src/config/places.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import {
  certificateWarnings,
  isKeyOpen,
  readTls,
  type TlsFiles,
  tlsFilesOf,
} from '../../src/sidecar/tls-files.ts';
import { Issued } from '../helpers/certificates.ts';
import { makeFolder, run } from '../helpers/program.ts';
import { makeTls } from '../helpers/tls-listener.ts';

const filesOf = (listen: object) => tlsFilesOf(mainPlace(resolveConfig({ listen })));

const TOGETHER: [object, RegExp][] = [
  [{ tls: { keyFile: '/k' } }, /^listen\.tls\.keyFile is set without certFile/],
  [{ tls: { certFile: '/c' } }, /^listen\.tls\.certFile is set without keyFile/],
  [{ tls: { clientCaFile: '/a' } }, /^listen\.tls\.clientCaFile and clientNames need TLS/],
  [{ tls: { clientNames: ['a.example'] } }, /clientNames need TLS/],
  [
    { tls: { certFile: '/c', keyFile: '/k', clientCaFile: '/a' } },
    /clientNames is empty, so clientCaFile lets nobody in/,
  ],
  [
    { tls: { certFile: '/c', keyFile: '/k', clientNames: ['a.example'] } },
    /clientNames needs clientCaFile/,
  ],
  [{ socket: '/s', tls: { certFile: '/c', keyFile: '/k' } }, /does not go with listen\.socket/],
];
for (const [listen, message] of TOGETHER) {
  t.test(`what does not go together: ${message.source}`, async (t) => {
    t.throws(() => filesOf(listen), { name: 'ConfigError', message });
  });
}

t.test('without TLS there are no files', async (t) => {
  t.equal(filesOf({}), null);
});

async function makeFiles(t: Test, cert: string, key: string): Promise<TlsFiles> {
  const folder = await makeFolder(t);
  const files = { key: 'listen.tls', certFile: join(folder, 'c'), keyFile: join(folder, 'k') };
  await writeFile(files.certFile, cert);
  await writeFile(files.keyFile, key, { mode: 0o600 });
  return { ...files, clientCaFile: null };
}

t.test('a certificate is described', async (t) => {
  const root = new Issued({ isAuthority: true, commonName: 'Test Root' });
  const middle = root.issue({ isAuthority: true, commonName: 'Middle' });
  const leaf = middle.issue({ names: ['DNS:a.example', 'IP:192.0.2.1'] });
  const read = async (...chain: Issued[]) => {
    const files = await makeFiles(t, chain.map(({ cert }) => cert).join(''), leaf.key);
    return { files, certificate: (await readTls(files)).certificate };
  };
  const { files, certificate } = await read(leaf, middle);
  t.match(certificate, { issuer: 'CN=Middle', chainLength: 2, chainProblem: null });
  t.strictSame(
    certificate.names.map(({ value }) => value),
    ['a.example', '192.0.2.1'],
  );
  t.strictSame(certificateWarnings(files, certificate, Date.UTC(2026, 0, 1)), []);
  t.match(certificateWarnings(files, certificate, Date.UTC(2200, 0, 1)), [/expired at 2120-01-01/]);
  t.match(certificateWarnings(files, certificate, 0), [/is not valid before 2020-01-01.*clock/]);
  const wrong = await read(leaf, root);
  t.match(wrong.certificate.chainProblem, 'certificate 2 did not issue certificate 1');
});

t.test('a certificate without a name, or of an authority', async (t) => {
  const nameless = new Issued({});
  t.match(
    (await readTls(await makeFiles(t, nameless.cert, nameless.key))).certificate.chainProblem,
    /has no name/,
  );
  const root = new Issued({ isAuthority: true, names: ['DNS:a.example'] });
  const other = root.issue({ names: ['DNS:b.example'] });
  const swapped = await makeFiles(t, root.cert + other.cert, root.key);
  t.match((await readTls(swapped)).certificate.chainProblem, /is that of an authority/);
});

t.test('a key in the file of its certificate', async (t) => {
  const { cert, key } = new Issued({ names: ['DNS:a.example'] });
  for (const text of [cert + key, key + cert]) {
    const files = await makeFiles(t, text, text);
    t.equal((await readTls(files)).certificate.chainLength, 1);
  }
});

const one = new Issued({ names: ['DNS:a.example'] });
const encrypted = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const WRONG: [string, string, string, RegExp][] = [
  ['no certificate', 'x', one.key, /certFile: .* holds no certificate in PEM form/],
  ['a key in place of one', one.key, one.key, /certFile: .* holds no certificate/],
  [
    'a damaged certificate',
    one.cert.replace('MII', 'MIJ'),
    one.key,
    /certificate 1 in .* is damaged/,
  ],
  ['no key', one.cert, 'x', /keyFile: .* holds no private key in PEM form/],
  ['a certificate in place of one', one.cert, one.cert, /keyFile: .* holds no private key/],
  ['the key of another', one.cert, new Issued({}).key, /is not the key of the first certificate/],
  [
    'an encrypted key',
    one.cert,
    encrypted
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString(),
    /is encrypted; write it without a passphrase/,
  ],
];
for (const [what, cert, key, message] of WRONG) {
  t.test(`refused: ${what}`, async (t) => {
    await t.rejects(readTls(await makeFiles(t, cert, key)), { name: 'ConfigError', message });
  });
}

t.test('a file that is not there ends a start, by its setting', async (t) => {
  const { config } = await makeTls(t);
  const start = (tls: object) => {
    const listen = { port: 0, tls: { ...config, ...tls } };
    const folder = makeFolder(t);
    return folder.then(async (path) => {
      await writeFile(join(path, 'config.json'), JSON.stringify({ listen }));
      return run(t, ['serve', '--config', join(path, 'config.json')]);
    });
  };
  for (const name of ['certFile', 'keyFile']) {
    const { code, stderr } = await start({ [name]: '/nonexistent' });
    t.equal(code, 2);
    t.match(stderr, `listen.tls.${name}: cannot read /nonexistent (ENOENT)`);
  }
  const unknown = await start({ clientCaFile: '/nonexistent', clientNames: ['a.example'] });
  t.match(unknown.stderr, 'listen.tls.clientCaFile: cannot read /nonexistent (ENOENT)');
  const name = await start({ clientCaFile: config.certFile, clientNames: ['*'] });
  t.match(name.stderr, 'listen.tls.clientNames.0 must begin with a DNS name');
});

t.test('who can read the key', async (t) => {
  const files = await makeFiles(t, one.cert, one.key);
  t.equal(await isKeyOpen(files), false);
  await chmod(files.keyFile, 0o640);
  t.equal(await isKeyOpen(files), false, 'a group has its reason');
  await chmod(files.keyFile, 0o644);
  t.equal(await isKeyOpen(files), true);
});
