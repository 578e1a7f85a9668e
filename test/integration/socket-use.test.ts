import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { WebSocket } from 'ws';
import type { ExchangeRecord } from '../../src/telemetry/exchange-record.ts';
import { type ClientsFile, headersOf, makeClientsFile } from '../helpers/clients.ts';
import { send } from '../helpers/exchange.ts';
import { openPair, type SocketPair } from '../helpers/websocket.ts';

t.jobs = 3;

const created = '{"type":"response.created","response":{}}';
const completed = (output: number) =>
  JSON.stringify({
    type: 'response.completed',
    response: { model: 'm', usage: { input_tokens: 1, output_tokens: output } },
  });

/** A text message as a server sends it, of less than 64 KiB. */
function frame(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const head = size < 126 ? [0x81, size] : [0x81, 126, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.from(text)]);
}

interface Sockets extends SocketPair {
  file: ClientsFile;
  asked: string[];
  record: Promise<ExchangeRecord>;
  /** Sends from the upstream, and waits until the client has it. */
  tell(...events: string[]): Promise<void>;
}

async function start(t: Test, limits: string, more: object = {}): Promise<Sockets> {
  const file = await makeClientsFile(t, { a: limits });
  const config = { clients: { tokensFile: file.path }, ...more };
  const pair = await openPair(t, false, config, headersOf('a'));
  const { client, upstream, sidecar } = pair;
  const asked: string[] = [];
  upstream.on('message', (data) => asked.push(String(data)));
  const record = new Promise<ExchangeRecord>((resolve) => sidecar.exchangeLog.add(resolve));
  const tell = async (...events: string[]) => {
    for (const event of events) {
      const arrived = once(client, 'message');
      upstream.send(event);
      await arrived;
    }
  };
  return { ...pair, file, asked, record, tell };
}

async function ask({ client, upstream }: Sockets, ...questions: string[]): Promise<void> {
  for (const question of questions) {
    const arrived = once(upstream, 'message');
    client.send(question);
    await arrived;
  }
}

async function closedWith1008(t: Test, ...sockets: WebSocket[]): Promise<void> {
  for (const [code] of await Promise.all(sockets.map((socket) => once(socket, 'close')))) {
    t.equal(code, 1008);
  }
}

async function today({ url }: Sockets): Promise<object> {
  const { clients } = JSON.parse((await send(`${url}/auth/clients`)).text);
  return clients[0].today;
}

t.test('turns that wait do not begin when the tokens are used up', async (t) => {
  const sockets = await start(t, 'output-tokens=10');
  const { client, upstream, wire, tell, record } = sockets;
  await ask(sockets, '1', '2', '3');
  await tell(created, completed(9), created);
  const closed = closedWith1008(t, client, upstream);
  // In one packet with half a frame, which is let through as a whole before the close.
  const [last, next] = [frame(completed(1)), frame('more')];
  const told: string[] = [];
  client.on('message', (data) => told.push(String(data)));
  wire.write(Buffer.concat([last, next.subarray(0, 3)]));
  while (told.length === 0) await once(client, 'message');
  wire.write(next.subarray(3));
  await closed;
  t.strictSame(told, [completed(1), 'more']);
  t.match(await record, { code: 'AUTH_CLIENT_LIMIT', outcome: 'revoked', tokens: { output: 10 } });
});

t.test(
  'the last turn of the day is finished, and the WebSocket stays until the next',
  async (t) => {
    const sockets = await start(t, 'output-tokens=10');
    const { client, upstream, tell, asked, record } = sockets;
    await ask(sockets, '1');
    await tell(created, completed(10), '{"type":"more"}');
    const closed = closedWith1008(t, client, upstream);
    client.send('2');
    await closed;
    await record;
    t.strictSame(asked, ['1']);
    t.match(await today(sockets), { turns: 1, unknown: 0 }, 'what was refused is no turn');
  },
);

t.test('turns that run at the same time are streams', async (t) => {
  const sockets = await start(t, 'streams=2', { usage: { enabled: false } });
  const { client, upstream, tell, sidecar, record } = sockets;
  const open = () => sidecar.counters.of('a', Date.now()).openStreams;
  await ask(sockets, '1', '2', '3');
  await tell(created, created);
  t.equal(open(), 2);
  await tell(completed(1));
  t.equal(open(), 1);
  await tell(created, '{"type":"error","status":500}', created);
  t.equal(open(), 2, 'an error ends a turn');
  const closed = closedWith1008(t, client, upstream);
  await tell(created);
  await closed;
  await record;
  t.equal(open(), 0);
});

t.test('one turn after the other is one stream', async (t) => {
  const sockets = await start(t, 'streams=1');
  for (const question of ['1', '2', '3']) {
    await ask(sockets, question);
    await sockets.tell(created, completed(1));
  }
  t.strictSame(sockets.asked, ['1', '2', '3']);
});

t.test('a WebSocket on another path takes no message once its token has a limit', async (t) => {
  const file = await makeClientsFile(t, { a: 'for=codex' });
  const path = '/backend-api/codex/realtime/calls';
  const config = { clients: { tokensFile: file.path } };
  const { client, upstream, log } = await openPair(t, false, config, headersOf('a'), path);
  await file.write({ a: 'for=codex output-tokens=10' });
  while (!log.some((line) => line.includes('client tokens read again'))) {
    await new Promise(setImmediate);
  }
  const closed = closedWith1008(t, client, upstream);
  client.send('1');
  await closed;
});
