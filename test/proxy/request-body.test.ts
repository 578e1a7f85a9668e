import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { type KeptBody, openBody, ReplayBudget } from '../../src/proxy/request-body.ts';

/** What a server makes of the body of a POST that is sent as these pieces of text. */
async function opened(t: Test, pieces: string[], budget = new ReplayBudget(100, 100)) {
  let seen: (body: KeptBody | null) => void = () => undefined;
  const result = new Promise<KeptBody | null>((resolve) => {
    seen = resolve;
  });
  const server = createServer(async (request: IncomingMessage, response) => {
    await null;
    const body = openBody(request, 1000, budget, () => undefined);
    seen(body);
    if (body?.content instanceof Readable) body.content.resume();
    request.once('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  const [first = '', ...rest] = pieces;
  socket.write(first);
  const body = await result;
  for (const piece of rest) socket.write(piece);
  await once(socket, 'data');
  return body;
}

async function piecesOf(body: KeptBody | null): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of body?.content ?? []) pieces.push(piece);
  return pieces;
}

const HEAD = 'POST / HTTP/1.1\r\nhost: x\r\n';

t.test('a body that comes along with its head is one piece, and its end is read', async (t) => {
  const body = await opened(t, [`${HEAD}content-length: 5\r\n\r\nhello`]);
  t.same(await piecesOf(body), [Buffer.from('hello')]);
  t.same(body?.replay(), Buffer.from('hello'));
  t.equal(await body?.whole(), true);
});

t.test('a body of which a part is still to come is a stream', async (t) => {
  const body = await opened(t, [`${HEAD}content-length: 5\r\n\r\nhel`, 'lo']);
  t.type(body?.content, Readable);
});

t.test('a body without a declared length is a stream', async (t) => {
  const body = await opened(t, [`${HEAD}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`]);
  t.type(body?.content, Readable);
});

t.test('one piece counts against the budget until it is given back', async (t) => {
  const budget = new ReplayBudget(5, 8);
  const body = await opened(t, [`${HEAD}content-length: 5\r\n\r\nhello`], budget);
  t.equal(budget.take(4), false);
  body?.forget();
  body?.forget();
  t.equal(body?.replay(), null);
  t.same(await piecesOf(body), [], 'nobody holds the bytes any more');
  t.equal(budget.take(8), true);
  t.equal(budget.take(1), false);
});

t.test('one piece over the limit of a replay is sent but not kept', async (t) => {
  const body = await opened(t, [`${HEAD}content-length: 5\r\n\r\nhello`], new ReplayBudget(4, 8));
  t.same(await piecesOf(body), [Buffer.from('hello')]);
  t.equal(body?.replay(), null);
  t.equal(await body?.whole(), false);
});
