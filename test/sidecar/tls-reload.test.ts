import { EventEmitter, once } from 'node:events';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import type { StatusDocument } from '../../src/admin/status.ts';
import { mainPlace } from '../../src/config/places.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { readTls, type TlsFiles, tlsFilesOf } from '../../src/sidecar/tls-files.ts';
import { TlsWatch } from '../../src/sidecar/tls-watch.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { open, readAll, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { startUpstream } from '../helpers/upstream.ts';

async function start(t: Test, files = {}) {
  const tls = await makeTls(t);
  const upstream = await startUpstream(t);
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, {
    config: { listen: { tls: { ...tls.config, ...files } } },
  });
  /** The names that a new client is shown. */
  const shown = async () => {
    const client = connect({ port: sidecar.port, host: '127.0.0.1', ...tls.trust });
    await once(client, 'secureConnect');
    const { subjectaltname } = client.getPeerCertificate();
    client.destroy();
    return subjectaltname ?? '';
  };
  const until = async (name: string) => {
    while (!(await shown()).includes(name));
  };
  const said = async (text: string) => {
    while (!sidecar.log.some((line) => line.includes(text))) {
      await send(`${sidecar.url}/livez`, { tls: tls.trust });
    }
    return sidecar.log.filter((line) => line.includes(text));
  };
  return { ...sidecar, tls, upstream, shown, until, said };
}

const NAMES = { names: ['IP:127.0.0.1', 'DNS:renewed.example'] };

t.test('a new certificate is used from the next connection on, and no stream is cut', async (t) => {
  const { tls, url, upstream, shown, until, said } = await start(t);
  const call = open(url + RESPONSES, { method: 'POST', tls: tls.trust });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.write('before, ');
  const received = await call.response;
  t.notMatch(await shown(), 'renewed.example');
  await tls.renew(NAMES);
  await until('renewed.example');
  response.end('after');
  t.equal(String(await readAll(received)), 'before, after');
  const [line = ''] = await said('certificate and authorities were read again');
  t.match(JSON.parse(line), { expiresAt: '2120-01-01T00:00:00.000Z' });
});

t.test('a wrong pair is not used, and said once', async (t) => {
  const { tls, url, shown, said, log, until } = await start(t);
  const problem = async () => {
    const { text } = await send(`${url}/auth/status`, { tls: tls.trust });
    return (JSON.parse(text) as StatusDocument).listener.certificate?.problem;
  };
  const before = await shown();
  const { cert } = tls.authority.issue(NAMES);
  await writeFile(tls.config.certFile, cert);
  const lines = await said('not read again, the old certificate stays');
  t.match(lines[0], 'is not the key of the first certificate');
  t.equal(await shown(), before);
  t.match(await problem(), 'is not the key of the first certificate');
  await writeFile(tls.config.certFile, `${cert}\n`);
  await writeFile(tls.config.certFile, 'nothing');
  await said('holds no certificate');
  t.equal(await shown(), before);
  await tls.renew(NAMES);
  await until('renewed.example');
  t.equal(await problem(), null);
  t.ok(log.filter((line) => line.includes('is not the key')).length === 1, 'once');
});

t.test('between the two files of a renewal nothing is said', async (t) => {
  const { config, authority } = await makeTls(t);
  const files = tlsFilesOf(mainPlace(resolveConfig({ listen: { tls: config } }))) as TlsFiles;
  const { log, text } = captureLog();
  const scheduled: (() => void)[] = [];
  const waiting = new EventEmitter();
  const problems = new Set<string | null>();
  const watch = new TlsWatch({
    files,
    read: await readTls(files),
    use: () => waiting.emit('used'),
    refused: (problem) => {
      problems.add(problem);
      waiting.emit('looked');
    },
    log,
    now: Date.now,
    schedule: (_ms, task) => {
      scheduled.push(task);
      waiting.emit('scheduled');
      return () => undefined;
    },
  });
  // Neither the watch nor its timers keep a process alive.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => {
    clearInterval(alive);
    watch.close();
  });
  const { cert, key } = authority.issue(NAMES);
  const patience = once(waiting, 'scheduled');
  await writeFile(files.keyFile, key, { mode: 0o600 });
  await patience;
  t.equal(text(), '', 'it waits for the other one');
  const used = once(waiting, 'used');
  await writeFile(files.certFile, cert);
  await used;
  const looked = once(waiting, 'looked');
  scheduled[0]?.();
  await looked;
  t.notMatch(text(), 'not read again');
  t.strictSame([...problems], [null]);
});

t.test('a secret that is swapped as a whole, as Kubernetes does it', async (t) => {
  const folder = (await makeTls(t)).folder;
  const put = async (name: string, fields?: object) => {
    const { cert, key } = authority.issue({ names: ['IP:127.0.0.1'], ...fields });
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'tls.crt'), cert);
    await writeFile(join(folder, name, 'tls.key'), key);
    await symlink(name, join(folder, '..new'));
    await rename(join(folder, '..new'), join(folder, '..data'));
  };
  const stand = await makeTls(t);
  const { authority } = stand;
  await put('..1');
  for (const name of ['tls.crt', 'tls.key'])
    await symlink(join('..data', name), join(folder, name));
  const { until, tls } = await start(t, {
    certFile: join(folder, 'tls.crt'),
    keyFile: join(folder, 'tls.key'),
  });
  tls.trust.ca = authority.cert;
  await put('..2', NAMES);
  await until('renewed.example');
  t.pass('the new one is used');
});
