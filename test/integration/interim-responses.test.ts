import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { dialTcp, localError, parseResponse, readAll, send, sendRaw } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startTcpUpstream, type TcpUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';

const request = (method: string, more = '') =>
  `${method} ${MODELS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`;

async function requested(upstream: TcpUpstream): Promise<Socket> {
  const socket = await upstream.next();
  await once(socket, 'data');
  return socket;
}

async function exchange(t: Test, parts: string[], text = request('GET')): Promise<string> {
  const upstream = await startTcpUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = sendRaw(t, port, text);
  const socket = await requested(upstream);
  for (const part of parts) {
    socket.write(part);
    // Each part arrives by itself, or the case would be the same as the next.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return answer;
}

const ROWS: [name: string, parts: string[], passed: string][] = [
  ['once', [CONTINUE, OK], ''],
  ['twice', [CONTINUE, CONTINUE, OK], ''],
  ['in one packet with the response', [CONTINUE + OK], ''],
  ['before a 103', [CONTINUE + HINTS + OK], HINTS],
  ['after a 103', [HINTS + CONTINUE + OK], HINTS],
  ['between two', [HINTS + CONTINUE + HINTS + OK], HINTS + HINTS],
  ['byte by byte', [...CONTINUE, ...OK], ''],
  ['with headers', [`HTTP/1.1 100 Go\r\nX-A: ${'a'.repeat(9000)}\r\n\r\n`, OK], ''],
  ['without a reason', ['HTTP/1.1 100 \r\n\r\n', OK], ''],
];

for (const [name, parts, passed] of ROWS) {
  t.test(`a 100 that nobody asked for ends no exchange: ${name}`, async (t) => {
    for (const text of [request('GET'), request('POST', 'Content-Length: 0\r\n')]) {
      const answer = await exchange(t, parts, text);
      t.equal(answer.slice(0, passed.length), passed);
      t.match(parseResponse(answer.slice(passed.length)), { status: 200, text: 'ok' });
    }
  });
}

t.test('a 100 ahead of the response to an upgrade, and in a body', async (t) => {
  const refusal = 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n';
  const text = await exchange(t, [CONTINUE + refusal], upgradeText(RESPONSES));
  t.equal(parseResponse(text).status, 426);
  const body = `HTTP/1.1 200 OK\r\nContent-Length: ${CONTINUE.length}\r\n\r\n${CONTINUE}`;
  t.equal(parseResponse(await exchange(t, [body])).text, CONTINUE, 'the body stays whole');
  t.equal(
    parseResponse(await exchange(t, [body.slice(0, -CONTINUE.length), CONTINUE])).text,
    CONTINUE,
  );
});

t.test('a kept connection takes a 100 before each response', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const first = send(url + MODELS);
  const socket = await upstream.next();
  await once(socket, 'data');
  socket.write(CONTINUE + OK);
  t.equal((await first).text, 'ok');
  const second = send(url + MODELS);
  await once(socket, 'data');
  socket.write(CONTINUE + OK);
  t.equal((await second).text, 'ok');
});

t.test('a switch of protocols that nobody asked for is an upstream error', async (t) => {
  for (const answer of [
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  ]) {
    const upstream = await startTcpUpstream(t);
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const text = sendRaw(t, port, request('POST', 'Content-Length: 0\r\n'));
    (await requested(upstream)).write(answer + OK);
    const answered = parseResponse(await text);
    localError(t, answered, 502, 'UPSTREAM_UNREACHABLE');
  }
});

t.test('an upgrade that is answered with another protocol is no WebSocket', async (t) => {
  for (const answer of [
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  ]) {
    const upstream = await startTcpUpstream(t);
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const text = sendRaw(t, port, upgradeText(RESPONSES));
    (await requested(upstream)).write(answer);
    localError(t, parseResponse(await text), 502, 'UPSTREAM_UNREACHABLE');
  }
});

t.test('interim responses do not pile up for a client that does not read', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { port, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.pause();
  const connections: Socket[] = [];
  sidecar.app.server.on('connection', (socket: Socket) => connections.push(socket));
  client.write(request('GET'));
  const socket = await requested(upstream);
  const many = `HTTP/1.1 103 Early Hints\r\nLink: <${'a'.repeat(4000)}>\r\n\r\n`.repeat(256);
  for (let i = 0; i < 16; i++) {
    if (!socket.write(many)) await once(socket, 'drain');
  }
  socket.write(OK);
  const text = String(await readAll(client));
  t.match(text, /\r\n\r\nok$/, 'the response itself arrives');
  t.ok(text.length < (16 * many.length) / 2, 'most hints were left out');
});
