import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { departures, serveInFrontOf } from '../helpers/load.ts';
import { RESPONSES } from '../helpers/sidecar.ts';

const SOCKETS = 50;
const MESSAGES = 100;
const SEED = 4;

const messageOf = (name: unknown, number: number) => `${name}/${number}`;
const allOf = (name: unknown) => Array.from({ length: MESSAGES }, (_, i) => messageOf(name, i + 1));

/** One end of a socket: whose it is, what it got, and how it ended. */
interface End {
  name: string;
  received: string[];
  code: number;
}

/**
 * Says all its messages, a few a turn, and tells how it ended.
 * @param onProgress called with what was said and got so far
 */
async function talk(
  socket: WebSocket,
  name: string,
  onProgress: (said: number, got: number) => void,
): Promise<End> {
  const received: string[] = [];
  let said = 0;
  const closed = once(socket, 'close');
  socket.on('error', () => undefined);
  socket.on('message', (data) => {
    received.push(String(data));
    onProgress(said, received.length);
  });
  if (socket.readyState === socket.CONNECTING) await once(socket, 'open');
  while (said < MESSAGES && socket.readyState === socket.OPEN) {
    said++;
    socket.send(messageOf(name, said));
    if (said % 4 === 0) await nextTurn();
  }
  onProgress(said, received.length);
  const [code] = await closed;
  return { name, received, code };
}

/** The client leaves after `leaveAt` messages, else closes when it has said and got all. */
function call(url: string, name: string, leaveAt: number | null): Promise<End> {
  const address = url.replace('http', 'ws') + RESPONSES;
  const headers = { 'x-stream': name };
  const socket = new WebSocket(address, { headers, perMessageDeflate: false });
  return talk(socket, name, (said, got) => {
    if (got === leaveAt) socket.terminate();
    else if (said === MESSAGES && got === MESSAGES) socket.close(1000);
  });
}

t.test(`${SOCKETS} WebSockets, ${MESSAGES} messages each way, some cut`, async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sidecar = await serveInFrontOf(t, `http://127.0.0.1:${port}`);
  await sidecar.untilIdle(Number.POSITIVE_INFINITY);
  const before = sidecar.descriptors();
  const served: Promise<End>[] = [];
  server.on('connection', (socket, request) => {
    served.push(talk(socket, String(request.headers['x-stream']), () => undefined));
  });
  const leaving = departures(SOCKETS, MESSAGES, SEED);
  const ends = await Promise.all(leaving.map((at, i) => call(sidecar.url, String(i), at)));
  const others = await Promise.all(served);
  t.equal(others.length, SOCKETS);
  for (const { name, received, code } of [...ends, ...others]) {
    const all = allOf(name);
    if (leaving[Number(name)] === null)
      t.strictSame({ received, code }, { received: all, code: 1000 });
    else t.strictSame({ received, code }, { received: all.slice(0, received.length), code: 1006 });
  }
  await sidecar.untilIdle(before);
  t.equal(sidecar.program.stderr, '', 'no warning of too many listeners');
});
