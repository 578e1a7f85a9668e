import * as zlib from 'node:zlib';
import t from 'tap';
import { openDecoder } from '../../src/upstream/stream-decoder.ts';

const body = Buffer.from(Array.from({ length: 500_000 }, (_, i) => `item ${i},`).join(''));

t.test('what is decoded is told in small pieces, and kept nowhere', async (t) => {
  const pieces: number[] = [];
  let isTelling = false;
  const turns: boolean[] = [];
  const decoder = openDecoder('gzip', body.length, (bytes) => {
    pieces.push(bytes.length);
    if (isTelling) return;
    isTelling = true;
    setImmediate(() => {
      isTelling = false;
      turns.push(true);
    });
  });
  const coded = zlib.gzipSync(body, { level: 1 });
  await decoder?.write(coded);
  await decoder?.end();
  t.equal(
    pieces.reduce((sum, size) => sum + size, 0),
    body.length,
  );
  t.ok(Math.max(...pieces) <= 64 * 1024);
  t.ok(turns.length > 10, 'others had their turn in between');
});

t.test('a decoder that is destroyed tells nothing more', async (t) => {
  let pieces = 0;
  const decoder = openDecoder('gzip', body.length, () => {
    pieces++;
    decoder?.destroy();
  });
  void decoder?.write(zlib.gzipSync(body, { level: 1 }));
  while (pieces === 0) await new Promise(setImmediate);
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  t.equal(pieces, 1);
});

t.test('what the listener throws is the failure of the write', async (t) => {
  const decoder = openDecoder('br', body.length, () => {
    throw new Error('unclear');
  });
  await t.rejects(async () => decoder?.write(zlib.brotliCompressSync('text')), {
    message: 'unclear',
  });
});
