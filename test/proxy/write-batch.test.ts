import { Writable } from 'node:stream';
import { setImmediate as turnOver } from 'node:timers/promises';
import t from 'tap';
import { WriteBatch } from '../../src/proxy/write-batch.ts';

/** A batch in front of a socket that notes what leaves it: the pieces of each packet. */
function start() {
  const packets: string[][] = [];
  const socket = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      packets.push([String(chunk)]);
      done();
    },
    writev: (pieces, done) => {
      packets.push(pieces.map(({ chunk }) => String(chunk)));
      done();
    },
  });
  const batch = new WriteBatch({
    write: (bytes) => void socket.write(bytes),
    nothingCame: () => void packets.push(['nothing']),
  });
  const push = (...texts: string[]) => {
    for (const text of texts) batch.push(Buffer.from(text), socket);
  };
  return { packets, batch, push, socket };
}

t.test(
  'what comes in a turn leaves as one packet, all but its first piece as one write',
  async (t) => {
    const { packets, push } = start();
    push('a', 'b', 'c');
    t.same(packets, [], 'nothing before the end of the turn');
    await turnOver();
    t.same(packets, [['a', 'bc']]);
    push('d');
    await turnOver();
    push('e', 'f');
    await turnOver();
    t.same(packets.slice(1), [['d'], ['e', 'f']]);
  },
);

t.test('what comes behind a head is one write', async (t) => {
  const { packets, batch, push } = start();
  batch.open();
  push('a', 'b');
  await turnOver();
  t.same(packets, [['ab']]);
});

t.test('a head alone is told at the end of its turn', async (t) => {
  const { packets, batch, push } = start();
  batch.open();
  await turnOver();
  t.same(packets, [['nothing']]);
  push('a');
  await turnOver();
  t.same(packets.slice(1), [['a']], 'and no other turn');
});

t.test('what is taken is not written, and the socket is free again', async (t) => {
  const { packets, batch, push, socket } = start();
  push('a', 'b');
  t.equal(String(batch.take()), 'b');
  t.equal(batch.take(), null);
  await turnOver();
  t.same(packets, [['a']]);
  t.equal(socket.writableCorked, 0);
});

t.test('a client without a socket gets all of a turn as one write', async (t) => {
  const { packets, batch } = start();
  batch.push(Buffer.from('a'), null);
  batch.push(Buffer.from('b'), null);
  await turnOver();
  t.same(packets, [['ab']]);
});
