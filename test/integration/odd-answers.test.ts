import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import {
  dialTcp,
  localError,
  parseResponse,
  readAll,
  readUntil,
  send,
  sendRaw,
} from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startTcpUpstream, type TcpUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nSet-Cookie: a=1\r\n\r\n';
const HINTS_PASSED = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** The next connection, once a request has come on it. */
async function requested(upstream: TcpUpstream): Promise<Socket> {
  const socket = await upstream.next();
  await once(socket, 'data');
  return socket;
}

const get = (version = '1.1') =>
  `GET ${MODELS} HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`;

async function answering(t: Test, ...parts: string[]): Promise<(text: string) => Promise<string>> {
  const upstream = await startTcpUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  return async (text) => {
    const answer = sendRaw(t, port, text);
    (await requested(upstream)).write(parts.join(''));
    return answer;
  };
}

t.test('interim answers pass when they come, without cookies', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(get());
  const socket = await requested(upstream);
  socket.write(`HTTP/1.1 102 Processing\r\n\r\n`);
  t.equal(await readUntil(client, '\r\n\r\n'), 'HTTP/1.1 102 Processing\r\n\r\n');
  socket.write(HINTS);
  t.equal(await readUntil(client, '\r\n\r\n'), HINTS_PASSED);
  socket.write(OK);
  t.match(parseResponse(String(await readAll(client))), { status: 200, text: 'ok' });
});

t.test('HTTP/1.0 gets no interim answer', async (t) => {
  const ask = await answering(t, HINTS, OK);
  t.match(parseResponse(await ask(get('1.0'))), { status: 200, text: 'ok' });
});

t.test('an interim answer ahead of the answer to an upgrade passes', async (t) => {
  const refusal = 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n';
  const ask = await answering(t, HINTS, refusal);
  const text = await ask(upgradeText(RESPONSES));
  t.equal(text.slice(0, HINTS_PASSED.length), HINTS_PASSED);
  t.equal(parseResponse(text.slice(HINTS_PASSED.length)).status, 426);
});

t.test('an interim answer waits for nobody: behind another answer it is dropped', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(get().replace('Connection: close\r\n', ''));
  const first = await requested(upstream);
  client.write(get());
  const second = await requested(upstream);
  second.write(HINTS + OK);
  first.write(OK.replace('ok', '1.'));
  const text = String(await readAll(client));
  t.notMatch(text, '103');
  t.ok(text.indexOf('1.') < text.indexOf('ok'));
});

t.test('trailers are dropped, and the body is whole', async (t) => {
  const ask = await answering(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n',
    '2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=1\r\n\r\n',
  );
  const text = await ask(get());
  t.match(text, /\r\n\r\n2\r\nok\r\n0\r\n\r\n$/);
  t.notMatch(text, /x-sum|cookie/i);
});

for (const status of [299, 599, 600, 999]) {
  t.test(`status ${status} passes`, async (t) => {
    const ask = await answering(t, `HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`);
    t.match(await ask(get()), new RegExp(`^HTTP/1.1 ${status} Odd\r\n`));
  });
}

t.test(
  'a status that is none is an unreachable upstream, and the next answer is right',
  async (t) => {
    const upstream = await startTcpUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    let status = '';
    // Undici dials once more after an exchange that is given up, so each connection has to be ready.
    const answerAll = async () => {
      for (;;) {
        const socket = await upstream.next();
        socket.once('data', () => {
          const length = status === '200' ? '2\r\n\r\nok' : '0\r\n\r\n';
          socket.write(`HTTP/1.1 ${status} Odd\r\nContent-Length: ${length}`);
        });
      }
    };
    void answerAll();
    for (status of ['099', '000', '1000', '20', 'abc']) {
      localError(t, await send(url + MODELS), 502, 'UPSTREAM_UNREACHABLE');
    }
    status = '200';
    t.equal((await send(url + MODELS)).text, 'ok');
  },
);
