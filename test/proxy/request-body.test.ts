import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t, { type Test } from 'tap';
import { type KeptBody, openBody, ReplayBudget } from '../../src/proxy/request-body.ts';

/** What a server makes of the body of a POST that is sent as these pieces of text. */
async function opened(
  t: Test,
  pieces: string[],
  budget = new ReplayBudget(100, 100),
  read?: (body: KeptBody | null) => void,
) {
  let seen: (body: KeptBody | null) => void = () => undefined;
  const result = new Promise<KeptBody | null>((resolve) => {
    seen = resolve;
  });
  const server = createServer(async (request: IncomingMessage, response) => {
    await null;
    const body = openBody(request, 1000, budget, () => undefined);
    seen(body);
    read?.(body);
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

/** What the body gives to a reader that never says stop. */
async function piecesOf(body: KeptBody | null): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  if (!body) return pieces;
  const { content } = body;
  content.on('data', (piece: Buffer) => pieces.push(piece));
  const ended = once(content, 'end');
  content.resume();
  await ended;
  return pieces;
}

const HEAD = 'POST / HTTP/1.1\r\nhost: x\r\n';

t.test('a body that comes along with its head is one piece, and its end is read', async (t) => {
  const body = await opened(t, [`${HEAD}content-length: 5\r\n\r\nhello`]);
  t.same(await piecesOf(body), [Buffer.from('hello')]);
  t.same(body?.replay(), Buffer.from('hello'));
  t.equal(await body?.whole(), true);
});

for (const [what, pieces] of [
  ['of which a part is still to come', ['content-length: 5\r\n\r\nhel', 'lo']],
  ['without a declared length', ['transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n']],
] as const) {
  t.test(`the end of a body ${what} is told although the reader said stop`, async (t) => {
    const [first = '', ...rest] = pieces;
    const seen: string[] = [];
    const body = await opened(t, [HEAD + first, ...rest], undefined, (body) => {
      body?.content.on('data', (piece: Buffer) => {
        seen.push(piece.toString());
        body.content.pause();
      });
      body?.content.on('end', () => seen.push('end'));
      body?.content.resume();
    });
    t.equal(seen.pop(), 'end');
    t.equal(seen.join(''), 'hello');
    t.same(body?.replay(), Buffer.from('hello'));
  });
}

t.test('a reader that said stop gets no more than a bounded part', async (t) => {
  const size = 4 * 1024 * 1024;
  for (const [perBody, most] of [
    [0, 64 * 1024],
    [size, 1024 * 1024],
  ] as const) {
    let seen = 0;
    let request: IncomingMessage | null = null;
    const server = createServer(async (incoming) => {
      await null;
      request = incoming;
      const content = openBody(
        incoming,
        size,
        new ReplayBudget(perBody, size),
        () => undefined,
      )?.content;
      content?.on('data', (piece: Buffer) => {
        seen += piece.length;
        content.pause();
        if (incoming.isPaused()) server.emit('stopped');
      });
      incoming.once('pause', () => server.emit('stopped'));
      content?.resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    t.teardown(() => {
      socket.destroy();
      server.close();
    });
    socket.write(`${HEAD}content-length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size));
    await once(server, 'stopped');
    t.ok(seen > most - 64 * 1024 && seen <= most + 128 * 1024, `${seen} of at most ${most}`);
    t.equal((request as IncomingMessage | null)?.isPaused(), true);
  }
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
