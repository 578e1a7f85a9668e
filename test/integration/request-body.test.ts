import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { open, readAll, readAnswer, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

// The magic number of zstd, and noise; a proxy has no reason to look further.
const ZSTD = Buffer.concat([Buffer.from('28b52ffd', 'hex'), randomBytes(40_000)]);
const BODIES: [string, string, Buffer][] = [
  ['gzip', 'application/json', gzipSync('{"model":"x"}')],
  ['zstd', 'application/json', ZSTD],
  ['identity', 'application/octet-stream', randomBytes(3_000_000)],
  ['identity', 'application/json', Buffer.from('{ not "JSON"')],
  ['identity', 'text/plain', Buffer.from('plain text')],
];

for (const [encoding, type, body] of BODIES) {
  const headers = { 'content-type': type, 'content-encoding': encoding };
  t.test(`${encoding} ${type} of known length keeps its bytes`, async (t) => {
    const upstream = await startUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = send(url + RESPONSES, {
      method: 'POST',
      body,
      headers: { ...headers, 'content-length': body.length },
    });
    const { request, response } = await upstream.next();
    t.equal(request.headers['content-length'], String(body.length));
    t.equal(request.headers['transfer-encoding'], undefined);
    t.match(request.headers, headers);
    t.ok((await readAll(request)).equals(body));
    response.end();
    t.equal((await answer).status, 200);
  });

  t.test(`${encoding} ${type} in chunks keeps its bytes`, async (t) => {
    const upstream = await startUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const call = open(url + RESPONSES, { method: 'POST', headers });
    call.request.write(body.subarray(0, 7));
    const { request, response } = await upstream.next();
    call.request.end(body.subarray(7));
    t.equal(request.headers['transfer-encoding'], 'chunked');
    t.equal(request.headers['content-length'], undefined);
    t.ok((await readAll(request)).equals(body));
    response.end();
    t.equal((await readAnswer(await call.response)).status, 200);
  });
}

t.test('a body goes up while it is still being sent', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const call = open(url + RESPONSES, { method: 'POST' });
  call.request.write('one');
  const { request, response } = await upstream.next();
  const chunks = request[Symbol.asyncIterator]();
  t.equal(String((await chunks.next()).value), 'one');
  call.request.write('two');
  t.equal(String((await chunks.next()).value), 'two');
  call.request.end();
  t.equal((await chunks.next()).done, true);
  response.end();
  t.equal((await call.response).statusCode, 200);
});

t.test('a POST without a body stays without one', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = send(url + RESPONSES, { method: 'POST', headers: { 'content-length': 0 } });
  const { request, response } = await upstream.next();
  t.equal(request.headers['content-length'], '0');
  response.end();
  t.equal((await answer).status, 200);
});
