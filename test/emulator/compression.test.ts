import t from 'tap';
import { request } from 'undici';
import { RESPONSE_CODINGS } from '../../src/emulator/compression.ts';
import { decodeBody } from '../../src/upstream/content-coding.ts';
import { bearerHeaders, RESPONSES, readEvents, start } from './client.ts';

const MAX_BYTES = 100_000;

t.test('responses are compressed for whoever takes them so', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const ask = async (path: string, encoding: string) => {
    const response = await request(emulator.url + path, {
      method: path === RESPONSES ? 'POST' : 'GET',
      headers: { ...headers, 'accept-encoding': encoding },
    });
    const chunks: Buffer[] = [];
    let broken = false;
    try {
      for await (const chunk of response.body) chunks.push(chunk);
    } catch {
      broken = true;
    }
    const coding = response.headers['content-encoding'];
    const bytes = Buffer.concat(chunks);
    const decoded = await decodeBody(bytes, coding === undefined ? null : `${coding}`, MAX_BYTES);
    return { coding, broken, bytes, text: `${decoded}`, headers: response.headers };
  };
  for (const coding of RESPONSE_CODINGS) {
    emulator.settings.compression = coding;
    const turn = await ask(RESPONSES, `identity, ${coding}`);
    t.equal(turn.coding, coding);
    t.equal(readEvents(turn.text).length, 9);
    t.notMatch(turn.bytes.toString('latin1'), 'response.completed');
    const single = await ask('/backend-api/wham/usage', `${coding};q=0.5`);
    t.notOk('content-length' in single.headers);
    t.match(JSON.parse(single.text), { plan_type: 'pro' });
    const refused = await ask('/backend-api/nothing', `${coding.toUpperCase()}`);
    t.equal(refused.coding, coding);

    emulator.addFault({ path: RESPONSES, action: 'cut' });
    const cut = await ask(RESPONSES, coding);
    t.ok(cut.broken);
    t.equal(readEvents(cut.text).length, 4, 'each event is whole when it is sent');

    for (const other of ['', 'identity', `${coding};q=0`, 'deflate']) {
      const plain = await ask(RESPONSES, other);
      t.equal(plain.coding, undefined, other);
      t.equal(readEvents(plain.text).length, 9);
    }
  }
});

t.test('knows the codings of this Node.js', async (t) => {
  const hasZstd = 'zstdCompress' in (await import('node:zlib'));
  t.strictSame(RESPONSE_CODINGS, ['gzip', 'br', ...(hasZstd ? ['zstd'] : [])]);
});
