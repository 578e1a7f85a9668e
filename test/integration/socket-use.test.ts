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

async function start(
  t: Test,
  limits: string,
  more: object = {},
  deflate: boolean | object = false,
): Promise<Sockets> {
  const file = await makeClientsFile(t, { a: limits });
  const config = { clients: { tokensFile: file.path }, ...more };
  const pair = await openPair(t, deflate, config, headersOf('a'));
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

t.test('the last turn of the day is finished, and nothing follows it', async (t) => {
  const sockets = await start(t, 'output-tokens=10');
  const { client, upstream, asked, record } = sockets;
  await ask(sockets, '1');
  const told: string[] = [];
  client.on('message', (data) => told.push(String(data)));
  const closed = closedWith1008(t, client, upstream);
  for (const event of [created, '{"type":"response.x"}', completed(10)]) upstream.send(event);
  await closed;
  await record;
  t.strictSame(told, [created, '{"type":"response.x"}', completed(10)]);
  t.strictSame(asked, ['1']);
  t.match(await today(sockets), { turns: 1, unknown: 0 });
});

t.test('a message that is refused is no turn', async (t) => {
  const sockets = await start(t, 'output-tokens=10');
  const { client, upstream, tell, asked, record, sidecar } = sockets;
  await ask(sockets, '1');
  await tell(created, completed(1));
  sidecar.counters.addTokens('a', { input: 1, output: 9 }, Date.now());
  const closed = closedWith1008(t, client, upstream);
  client.send('2');
  await closed;
  await record;
  t.strictSame(asked, ['1']);
  t.match(await today(sockets), { turns: 1, unknown: 0 });
});

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

t.test('an error in a turn is followed by its last event, or by none', async (t) => {
  const error = '{"type":"error","error":{}}';
  const failed = '{"type":"response.failed","response":{"usage":null}}';
  const sockets = await start(t, 'streams=1 output-tokens=10');
  const { client, upstream, tell, record } = sockets;
  for (const ending of [[error, failed], [error], [completed(1)], [error, failed], [error]]) {
    await ask(sockets, 'one');
    await tell(created, ...ending);
  }
  await ask(sockets, 'refused');
  await tell(error);
  // None of these frees a place, or hides what waits.
  await ask(sockets, '1', '2');
  await tell(created);
  const closed = closedWith1008(t, client, upstream);
  await tell(completed(9));
  await closed;
  t.match(await record, { tokens: { output: 10 } });
});

t.test('an error that answers another message does not end the turn that runs', async (t) => {
  const sockets = await start(t, 'streams=1');
  const { client, upstream, tell } = sockets;
  await ask(sockets, '1');
  await tell(created);
  await ask(sockets, 'garbage', '2');
  await tell('{"type":"error"}', '{"type":"response.x"}');
  const closed = closedWith1008(t, client, upstream);
  await tell(created);
  await closed;
});

t.test('a turn that was let in is finished, whatever others use meanwhile', async (t) => {
  const sockets = await start(t, 'output-tokens=10');
  const { client, upstream, tell, sidecar, record } = sockets;
  await ask(sockets, '1');
  sidecar.counters.addTokens('a', { input: 1, output: 10 }, Date.now());
  await tell(created, '{"type":"response.x"}', '{"type":"error"}', '{"type":"response.x"}');
  const closed = closedWith1008(t, client, upstream);
  await tell(completed(7));
  await closed;
  t.match(await record, { tokens: { output: 7 } });
});

t.test(
  'turns beside the one that uses up the tokens are finished, and no more begin',
  async (t) => {
    const sockets = await start(t, 'output-tokens=10');
    const { client, upstream, tell, record } = sockets;
    await ask(sockets, '1', '2', '3');
    await tell(created, created, completed(10), '{"type":"response.x"}');
    const closed = closedWith1008(t, client, upstream);
    await tell(created);
    await closed;
    t.match(await record, { tokens: { output: 10 } });
  },
);

t.test('messages that nobody answers are no turns', async (t) => {
  const sockets = await start(t, 'streams=2 output-tokens=1000');
  const { tell, sidecar } = sockets;
  const error = '{"type":"error"}';
  for (const ending of [completed(1), error, completed(1), error]) {
    await ask(sockets, 'one');
    await tell(created, ending);
    await ask(sockets, '{"type":"response.processed"}');
  }
  await ask(sockets, 'last');
  await tell(created, completed(1));
  t.equal(sidecar.counters.of('a', Date.now()).openStreams, 1);
  t.match(await today(sockets), { turns: 3, unknown: 0 });
});

t.test('errors do not hide the turns that wait', async (t) => {
  const error = '{"type":"error"}';
  const usage = { input_tokens: 0, output_tokens: 5 };
  const failed = JSON.stringify({ type: 'response.failed', response: { usage } });
  for (const before of [
    [created, error, failed],
    [error, failed],
  ]) {
    const sockets = await start(t, 'output-tokens=10');
    const { client, upstream, tell, record } = sockets;
    await ask(sockets, '1', '2', '3');
    await tell(...before);
    const closed = closedWith1008(t, client, upstream);
    await tell(...before);
    await closed;
    t.match(await record, { tokens: { output: 10 } });
  }
});

t.test('compressed and plain messages are read in their order', async (t) => {
  const deflate = { serverNoContextTakeover: true, threshold: 500 };
  const sockets = await start(t, 'streams=1', {}, deflate);
  const large = JSON.stringify({ type: 'response.created', response: { x: 'word '.repeat(999) } });
  for (let turn = 0; turn < 3; turn++) {
    await ask(sockets, 'one');
    await sockets.tell(large, '{"type":"error"}');
  }
  await ask(sockets, 'one');
  await sockets.tell(large, completed(1));
  t.equal(sockets.sidecar.counters.of('a', Date.now()).openStreams, 1);
  t.equal(sockets.client.readyState, sockets.client.OPEN);
});

t.test('no message goes up once the WebSocket is to be closed', async (t) => {
  const sockets = await start(t, 'streams=1');
  const { client, upstream, wire, tell, asked, record } = sockets;
  await ask(sockets, '1', '2');
  await tell(created);
  const closed = closedWith1008(t, client, upstream);
  // It waits for the other half of a frame.
  const [last, next] = [frame(created), frame('more')];
  const arrived = once(client, 'message');
  wire.write(Buffer.concat([last, next.subarray(0, 3)]));
  await arrived;
  client.send('3');
  client.send('4');
  client.ping();
  await new Promise((resolve) => setImmediate(resolve));
  wire.write(next.subarray(3));
  await closed;
  await record;
  t.strictSame(asked, ['1', '2']);
});

t.test(
  'the same with compressed messages, of which none waits when turns are sent ahead',
  async (t) => {
    const sockets = await start(t, 'output-tokens=10', {}, { threshold: 0 });
    const { client, upstream, tell, record } = sockets;
    await ask(sockets, '1', '2', '3');
    await tell(created);
    const closed = closedWith1008(t, client, upstream);
    await tell(completed(10));
    await closed;
    t.match(await record, { code: 'AUTH_CLIENT_LIMIT', tokens: { output: 10 } });
  },
);

t.test('a message whose turn is found to be one too many does not go up', async (t) => {
  const sockets = await start(t, 'streams=1', {}, { threshold: 0 });
  const { client, upstream, asked, record } = sockets;
  await ask(sockets, '1');
  let arrived = once(client, 'message');
  upstream.send(created);
  await arrived;
  arrived = once(client, 'message');
  upstream.send(created);
  await arrived;
  const closed = closedWith1008(t, client, upstream);
  client.send('2');
  await closed;
  await record;
  t.strictSame(asked, ['1']);
});

t.test('turns that are read only at the end leave no stream behind', async (t) => {
  const sockets = await start(t, 'streams=3', {}, { threshold: 0 });
  const { client, upstream, sidecar, record } = sockets;
  const arrived = once(client, 'message');
  upstream.send(created);
  upstream.send(created);
  upstream.send(created);
  await arrived;
  client.terminate();
  await record;
  t.equal(sidecar.counters.of('a', Date.now()).openStreams, 0);
});

t.test('a limit of streams takes no message of a WebSocket that cannot be read', async (t) => {
  const sockets = await start(t, 'streams=1', {}, true);
  const { client, upstream, tell } = sockets;
  t.match(sockets.extensions, /^permessage-deflate/);
  await ask(sockets, '1');
  await tell(JSON.stringify({ type: 'x', instructions: ' '.repeat(9_000_000) }));
  const closed = closedWith1008(t, client, upstream);
  client.send('2');
  await closed;
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
