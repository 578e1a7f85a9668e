import { once } from 'node:events';
import { connect as dialRaw } from 'node:net';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import {
  closeOf,
  localError,
  open,
  parseResponse,
  readAll,
  readUntil,
  send,
} from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { dialTls, makeTls } from '../helpers/tls-listener.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, upgradeText } from '../helpers/websocket.ts';

async function start(t: Test, config: object = {}) {
  const upstream = await startUpstream(t);
  const tls = await makeTls(t);
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, {
    config: { ...config, listen: { tls: tls.config } },
  });
  const dial = (options = {}) => dialTls(t, sidecar.port, { ...tls.trust, ...options });
  return { ...sidecar, upstream, tls, dial };
}

t.test('requests and bodies pass, and the address says https', async (t) => {
  const { url, upstream, tls, sidecar } = await start(t);
  t.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
  t.equal(sidecar.address.url, url);
  const body = Buffer.alloc(3_000_000, 'x');
  const answer = send(url + RESPONSES, { body, tls: tls.trust });
  const { request, response } = await upstream.next();
  t.equal((await readAll(request)).compare(body), 0);
  response.end(body);
  t.equal((await answer).bytes.compare(body), 0);
});

t.test('so does a WebSocket, up to the close of both sides', async (t) => {
  const { url, upstream, tls } = await start(t);
  const client = new WebSocket(`${url.replace('https', 'wss')}${RESPONSES}`, tls.trust);
  const { request, socket } = await upstream.nextUpgrade();
  socket.write(switchingText(request));
  await once(client, 'open');
  socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
  const [message] = await once(client, 'message');
  t.equal(String(message), 'hi');
  socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
  const [code] = await once(client, 'close');
  t.equal(code, 1000);
});

t.test('another upgrade is a plain request, and its connection goes on', async (t) => {
  const { dial, upstream } = await start(t);
  const client = dial();
  for (const body of ['first', 'again']) {
    client.write(`POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n`);
    client.write(`upgrade: h2c\r\ncontent-length: 5\r\n\r\n${body}`);
    const { request, response } = await upstream.next();
    t.equal(String(await readAll(request)), body);
    response.end(`${body}, done`);
    await readUntil(client, `${body}, done`);
  }
});

t.test('a client that leaves ends its exchange upstream', async (t) => {
  const { dial, upstream } = await start(t);
  const client = dial();
  client.write(`POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n`);
  const { response } = await upstream.next();
  response.write('data: 1\n\n');
  await readUntil(client, 'data: 1');
  const closed = closeOf(response);
  client.destroy();
  await closed;
  t.pass('it was told');
});

t.test('plain HTTP is refused in words', async (t) => {
  const { port, upstream } = await start(t);
  for (const text of [
    `GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    upgradeText(RESPONSES),
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ]) {
    const client = dialRaw({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.write(text);
    const answer = parseResponse(String(await readAll(client)));
    client.end();
    localError(t, answer, 400, 'AUTH_REQUEST_INVALID');
    t.match(answer.text, 'begin the URL with https');
  }
  t.strictSame(upstream.requests, []);
});

const REFUSED: [string, object, string][] = [
  [
    'TLS 1.1',
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    'PROTOCOL',
  ],
  ['HTTP/2 alone', { ALPNProtocols: ['h2'] }, 'NO_APPLICATION_PROTOCOL'],
];

for (const [what, options, code] of REFUSED) {
  t.test(`${what} is refused`, async (t) => {
    const { port, tls, url } = await start(t);
    const client = connect({ port, host: '127.0.0.1', ...tls.trust, ...options });
    const [error] = await once(client, 'error');
    t.match(error.code, code);
    t.equal((await send(`${url}/livez`, { tls: tls.trust })).status, 200);
  });
}

t.test('HTTP/1.1 is agreed on where the client asks', async (t) => {
  const { dial } = await start(t);
  const client = dial({ ALPNProtocols: ['h2', 'http/1.1'] });
  await once(client, 'secureConnect');
  t.equal(client.alpnProtocol, 'http/1.1');
});

t.test('nobody may begin a second handshake on a connection', async (t) => {
  const { dial } = await start(t);
  const client = dial({ maxVersion: 'TLSv1.2' });
  await once(client, 'secureConnect');
  const failure = await new Promise<Error | null>((resolve) => {
    client.once('close', () => resolve(new Error('closed')));
    client.renegotiate({}, resolve);
  });
  t.ok(failure, 'refused');
});

t.test('a handshake under way keeps nobody from being served, nor from stopping', async (t) => {
  const { port, sidecar, url, tls } = await start(t);
  const silent = dialRaw(port, '127.0.0.1');
  const half = dialRaw(port, '127.0.0.1');
  half.write(Buffer.from([22, 3, 1]));
  await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
  t.equal((await send(`${url}/livez`, { tls: tls.trust })).status, 200);
  const closed = Promise.all([closeOf(silent), closeOf(half)]);
  await sidecar.stop();
  await closed;
  t.pass('both were let go');
});

t.test('headers that do not come in time are an error here too', async (t) => {
  const { dial, sidecar } = await start(t);
  const { server } = sidecar.app;
  t.equal(server.headersTimeout, 30_000);
  t.equal(server.requestTimeout, 0);
  server.headersTimeout = 1;
  const client = dial();
  client.write('GET / HTTP/1.1\r\nx: ');
  localError(t, parseResponse(String(await readAll(client))), 400, 'AUTH_REQUEST_INVALID');
});

t.test('a drain lets a stream end', async (t) => {
  const { url, upstream, tls, sidecar } = await start(t, { limits: { drainSeconds: 60 } });
  const call = open(url + RESPONSES, { method: 'POST', tls: tls.trust });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.write('data: 1\n\n');
  const received = await call.response;
  const stopped = sidecar.stop();
  localError(t, await send(url + MODELS, { tls: tls.trust }), 503, 'AUTH_DRAINING');
  response.end('data: 2\n\n');
  t.equal(String(await readAll(received)), 'data: 1\n\ndata: 2\n\n');
  await stopped;
});
