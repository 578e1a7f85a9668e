import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { type BodyPace, SlowBodies } from '../../src/inbound/slow-body.ts';
import { closeOf, dialTcp, readUntil } from '../helpers/exchange.ts';

const HEAD = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\n';
const NEVER = 2 ** 30;

async function start(t: Test, pace: BodyPace, listener: RequestListener): Promise<number> {
  const bodies = new SlowBodies(pace);
  const server = createServer((request, response) => {
    bodies.add(request, response);
    listener(request, response);
  });
  // Its own limit would end them as well.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

t.test('a body that stops coming costs its connection', async (t) => {
  const pace = { stallMs: 20, afterResponseMs: NEVER };
  const client = await dialTcp(t, await start(t, pace, (request) => request.resume()));
  client.write(`${HEAD}abc`);
  await closeOf(client);
  t.ok(client.closed);
});

t.test(
  'it ends at the third look of two in the time it has, however it was read before',
  async (t) => {
    let look = () => {};
    t.intercept(globalThis, 'setInterval', {
      value: (callback: () => void, ms: number) => {
        t.equal(ms, 60_000);
        look = callback;
        return setTimeout(() => undefined, 0);
      },
    });
    let destroyed = false;
    const socket = Object.assign(new EventEmitter(), {
      bytesRead: 9,
      destroy: () => {
        destroyed = true;
      },
    });
    const headers = { 'content-length': '4' };
    const request = { headers, socket, readableFlowing: true, complete: false };
    const bodies = new SlowBodies({ stallMs: 120_000, afterResponseMs: NEVER });
    // All that a look at it reads; a real one could not be told when octets come.
    bodies.add(
      request as unknown as IncomingMessage,
      new EventEmitter() as unknown as ServerResponse,
    );
    const looks = (count: number) => {
      for (let i = 0; i < count; i++) look();
      return destroyed;
    };
    t.notOk(looks(2), 'nothing came yet');
    socket.bytesRead++;
    t.notOk(looks(2), 'one octet came');
    request.readableFlowing = false;
    t.notOk(looks(9), 'nobody reads');
    request.readableFlowing = true;
    t.notOk(looks(2), 'somebody reads again');
    t.ok(looks(1));
  },
);

t.test('so does one that goes on for ever behind its answer', async (t) => {
  const pace = { stallMs: NEVER, afterResponseMs: 20 };
  const port = await start(t, pace, (_request, response) => response.writeHead(403).end('no'));
  const client = await dialTcp(t, port);
  client.write(`${HEAD}abc`);
  await closeOf(client);
  t.ok(client.closed);
});

t.test('nothing is kept for a client that hangs up after its answer, or gets on', async (t) => {
  const pace = { stallMs: NEVER, afterResponseMs: NEVER - 1 };
  const late = new Set<unknown>();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  t.intercept(globalThis, 'setTimeout', {
    value: (...args: Parameters<typeof set>) => {
      const timer = set(...args);
      if (args[1] === pace.afterResponseMs) late.add(timer);
      return timer;
    },
  });
  t.intercept(globalThis, 'clearTimeout', {
    value: (timer: NodeJS.Timeout) => {
      late.delete(timer);
      clear(timer);
    },
  });
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise(setImmediate);
  };
  let listeners = () => 0;
  const port = await start(t, pace, ({ socket }, response) => {
    listeners = () => socket.listenerCount('close');
    response.writeHead(403).end('no;');
  });
  const client = await dialTcp(t, port);
  const refuse = async () => {
    client.write(`${HEAD}abc`);
    await readUntil(client, 'no;');
    await until(() => late.size === 1);
  };
  await refuse();
  const before = listeners();
  client.write('d');
  await until(() => late.size === 0);
  t.equal(listeners(), before - 1);
  await refuse();
  client.destroy();
  await until(() => late.size === 0);
});

t.test('nobody is hurried who waits for a reader, or has sent everything', async (t) => {
  const pace = { stallMs: 5, afterResponseMs: 5 };
  // Longer than the limits, in timers that were set after theirs.
  const port = await start(t, pace, (request, response) => {
    setTimeout(() => {
      request.resume();
      request.once('end', () => setTimeout(() => response.end('done;'), 25));
    }, 25);
  });
  const client = await dialTcp(t, port);
  for (let i = 0; i < 2; i++) {
    client.write(`${HEAD}abcd`);
    t.match(await readUntil(client, 'done;'), /^HTTP\/1\.1 200 /);
  }
});
