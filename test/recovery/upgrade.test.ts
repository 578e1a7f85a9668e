import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { startScriptedUpstream } from '../helpers/scripted-upstream.ts';
import {
  lastTask,
  RESPONSES,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const TASKS = '/task/register';
const CREATE = JSON.stringify({
  type: 'response.create',
  input: [
    {
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text: randomBytes(300).toString('hex') }],
    },
  ],
});

/** A WebSocket through the sidecar; `status` is there when the upgrade is refused. */
async function dial(
  t: Test,
  scene: SidecarWithClock,
): Promise<{ socket: WebSocket; status: number }> {
  const socket = new WebSocket(scene.url.replace('http', 'ws') + RESPONSES, {
    // Compressed, an emulated turn is as short as a refusal.
    perMessageDeflate: false,
  });
  t.teardown(() => socket.terminate());
  socket.on('error', () => undefined);
  const status = await new Promise<number>((resolve) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
  });
  return { socket, status };
}

t.test('a rejected upgrade is dialled again with a new task', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  const first = await dial(t, scene);
  first.socket.close();
  scene.emulator.revokeTask(lastTask(scene.emulator));
  const { socket, status } = await dial(t, scene);
  t.equal(status, 101);
  socket.send(CREATE);
  const [message] = await once(socket, 'message');
  t.match(String(message), 'response.created');
  t.equal(scene.count(TASKS), 2);
  const dials = scene.emulator.records.filter(({ transport }) => transport === 'websocket');
  t.strictSame(
    dials.map(({ status }) => status),
    [101, 401, 101],
  );
});

t.test('a second refusal of an upgrade passes on', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  scene.emulator.addFault({ path: RESPONSES, upgrade: true, status: 401, times: 0, body: {} });
  t.equal((await dial(t, scene)).status, 401);
  t.equal(scene.count(RESPONSES), 2);
  t.equal((await dial(t, scene)).status, 401);
  t.equal(scene.count(RESPONSES), 3);
  t.equal(scene.count(TASKS), 2);
});

t.test('a refused bearer upgrade is refreshed and dialled again', async (t) => {
  const scene = await startSidecarWithClock(t);
  scene.emulator.expireAccessTokens();
  t.equal((await dial(t, scene)).status, 101);
  t.equal(scene.count(TOKEN), 1);
});

t.test('what the client sends early reaches the second dial', async (t) => {
  const upstream = await startScriptedUpstream(t, () => undefined);
  const received: Buffer[] = [];
  let accepted: Duplex | null = null;
  upstream.onUpgrade = (_request, socket, seen) => {
    if (seen === 0) {
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}');
      return;
    }
    accepted = socket;
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n',
    );
  };
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  const client = connect(Number(new URL(scene.url).port), '127.0.0.1');
  t.teardown(() => client.destroy());
  const lines = [
    `GET ${RESPONSES} HTTP/1.1`,
    'host: localhost',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  client.write(`${lines.join('\r\n')}\r\n\r\nearly bytes`);
  const [head] = await once(client, 'data');
  t.match(String(head), /^HTTP\/1.1 101 /);
  client.write(' and later ones');
  while (Buffer.concat(received).length < 26) await new Promise((resolve) => setImmediate(resolve));
  t.equal(Buffer.concat(received).toString(), 'early bytes and later ones');
  t.ok(accepted);
  t.equal(upstream.arrivals.length, 2);
});

t.test(
  'a socket closed after its first message makes the task suspect at the next dial',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    scene.emulator.addFault({ path: RESPONSES, upgrade: true, action: 'close-after-first-frame' });
    const { socket } = await dial(t, scene);
    const suspect = lastTask(scene.emulator);
    socket.send(CREATE);
    await once(socket, 'close');
    t.equal(scene.count(TASKS), 1, 'nothing is registered before it is needed');
    const next = await dial(t, scene);
    t.equal(next.status, 101);
    t.equal(scene.count(TASKS), 2);
    t.not(lastTask(scene.emulator), suspect);
    next.socket.send(CREATE);
    await once(next.socket, 'message');
  },
);

t.test('a socket that had a whole turn makes nothing suspect', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  const { socket } = await dial(t, scene);
  socket.send(CREATE);
  await new Promise<void>((resolve) =>
    socket.on('message', (data) => {
      if (String(data).includes('response.completed')) resolve();
    }),
  );
  socket.close();
  await once(socket, 'close');
  await dial(t, scene);
  t.equal(scene.count(TASKS), 1);
});

t.test('a client that leaves unanswered makes nothing suspect', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  const { socket } = await dial(t, scene);
  scene.emulator.addFault({
    path: RESPONSES,
    upgrade: true,
    action: 'stall',
    pieceDelayMs: 60_000,
  });
  const stalled = await dial(t, scene);
  stalled.socket.send(CREATE);
  const { seq } = await scene.emulator.waitFor(({ frames }) => frames.length === 1);
  stalled.socket.terminate();
  await scene.emulator.waitFor((record) => record.seq === seq && record.aborted);
  socket.terminate();
  await dial(t, scene);
  t.equal(scene.count(TASKS), 1);
});

t.test('a client that leaves while its task is replaced leaves no connection behind', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await dial(t, scene);
  scene.emulator.revokeTask(lastTask(scene.emulator));
  scene.emulator.addFault({ path: '/api/accounts/*', delayMs: 300 });
  const socket = new WebSocket(scene.url.replace('http', 'ws') + RESPONSES);
  socket.on('error', () => undefined);
  const since = scene.emulator.records.length;
  await scene.emulator.waitFor(({ path, seq }) => path.endsWith(TASKS) && seq > since);
  socket.terminate();
  await scene.emulator.waitFor(
    ({ path, seq, complete }) => path.endsWith(TASKS) && seq > since && complete,
  );
  for (;;) {
    const { connections } = await scene.status();
    if (connections.http === 0) break;
  }
  t.equal(scene.count(RESPONSES, since), 1, 'no second dial');
});
