import dns from 'node:dns/promises';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, connect, createServer } from 'node:net';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { mainPlace } from '../../src/config/places.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { listen } from '../../src/sidecar/listen.ts';
import { localError, parseResponse, readAll, readUntil } from '../helpers/exchange.ts';
import {
  MODELS,
  RESPONSES,
  startSidecarInFrontOf,
  startTestSidecar,
  type TestSidecar,
} from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

// What the name server of the machine says is its own business; here it has two addresses.
const FIRST = '127.0.0.1';
const SECOND = '127.0.0.2';
let addresses = [SECOND, FIRST];
const original = dns.lookup;
const faked = async () => addresses.map((address) => ({ address, family: 4 }));
Object.assign(dns, { lookup: faked });
syncBuiltinESMExports();
t.teardown(() => {
  Object.assign(dns, { lookup: original });
  syncBuiltinESMExports();
});

const HEAD = 'host: localhost\r\nconnection: close\r\n';

/** The response to `text` on the second address, whose connection ends with it. */
async function ask({ port }: Pick<TestSidecar, 'port'>, text: string) {
  const socket = connect(port, SECOND);
  socket.write(text);
  const response = parseResponse(String(await readAll(socket)));
  socket.destroy();
  return response;
}

async function onBoth(t: Test) {
  const upstream = await startUpstream(t, (_request, response) => response.end('reached'));
  const config = { listen: { host: 'localhost', port: 0 } };
  return { upstream, ...(await startSidecarInFrontOf(t, upstream.origin, { config })) };
}

t.test('every address of a name is served alike', async (t) => {
  addresses = [FIRST, SECOND];
  const scene = await onBoth(t);
  t.match(await ask(scene, `GET ${MODELS} HTTP/1.1\r\n${HEAD}\r\n`), {
    status: 200,
    text: 'reached',
  });

  const connecting = await ask(scene, `CONNECT evil.example:443 HTTP/1.1\r\n${HEAD}\r\n`);
  localError(t, connecting, 403, 'AUTH_ROUTE_DENIED');
  localError(t, await ask(scene, 'NO HTTP\r\n\r\n'), 400, 'AUTH_REQUEST_INVALID');
  const expecting = await ask(scene, `POST ${MODELS} HTTP/1.1\r\n${HEAD}expect: x\r\n\r\n`);
  localError(t, expecting, 400, 'AUTH_REQUEST_INVALID');
  const elsewhere = await ask(
    scene,
    `GET ${MODELS} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n`,
  );
  localError(t, elsewhere, 403, 'AUTH_HOST_NOT_ALLOWED');

  const client = connect(scene.port, SECOND);
  client.write(upgradeText(RESPONSES));
  const { socket } = await scene.upstream.nextUpgrade();
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n');
  socket.write('sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n');
  t.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 101 /);
  client.destroy();
});

t.test('a stop closes every address', async (t) => {
  const scene = await onBoth(t);
  const open = connect(scene.port, SECOND);
  open.write(`GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await readUntil(open, '\r\n\r\n');
  await scene.sidecar.stop();
  t.match(String(await readAll(open)), /^\{/);
  const again = connect(scene.port, SECOND);
  const failure = await new Promise((resolve) => again.once('error', resolve));
  t.match(failure, { code: 'ECONNREFUSED' });
});

t.test('an address that the machine does not have is left out, and said', async (t) => {
  addresses = [FIRST, '192.0.2.1'];
  const app = Fastify();
  t.teardown(() => app.close());
  const warnings: string[] = [];
  const place = mainPlace(resolveConfig({ listen: { host: 'box.example', port: 0 } }));
  const { url } = await listen(app, place, (line) => warnings.push(line));
  t.match(url, `http://${FIRST}:`);
  t.strictSame(warnings, ['box.example is 192.0.2.1 as well, which this machine does not have']);
});

t.test('an address whose port another process has is refused', async (t) => {
  addresses = [FIRST, SECOND];
  const other = createServer().listen(0, SECOND);
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const start = startTestSidecar(t, { config: { listen: { host: 'localhost', port } } });
  await t.rejects(start, { message: `localhost:${port} is taken by another process` });
  await t.rejects(fetch(`http://${FIRST}:${port}/livez`), 'and the first address is free again');
});

t.test('localhost that leads to another machine is refused', async (t) => {
  addresses = [FIRST, '192.0.2.1'];
  const start = startTestSidecar(t, { config: { listen: { host: 'localhost', port: 0 } } });
  await t.rejects(start, { message: /192\.0\.2\.1, which other machines may reach/ });
});

t.test('every spelling of an address', async (t) => {
  for (const [given, host] of [
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['[0:0:0:0:0:0:0:1]', '0:0:0:0:0:0:0:1'],
    ['[127.0.0.1]', '127.0.0.1'],
    ['LOCALHOST', 'LOCALHOST'],
    ['[fe80::1%lo]', 'fe80::1%lo'],
    ['::', '::'],
  ] as const) {
    t.equal(resolveConfig({ listen: { host: given } }).listen.host, host);
  }
  for (const host of [
    '127.0.0.1:8787',
    '[::1]:8787',
    'http://127.0.0.1',
    '*',
    'a b',
    '[x]',
    '/s',
  ]) {
    t.throws(() => resolveConfig({ listen: { host } }), {
      message: /^listen\.host must be a host name/,
    });
  }
});

t.test('[::1] is listened on where the machine has it', async (t) => {
  const scene = await startTestSidecar(t, { config: { listen: { host: '[::1]', port: 0 } } });
  t.match(scene.url, /^http:\/\/\[::1\]:\d+$/);
  t.equal((await fetch(`${scene.url}/livez`)).status, 200);
});
