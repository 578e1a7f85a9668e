import type { Writable } from 'node:stream';
import t from 'tap';
import { open, readAll } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStandstill } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';

const CHUNK = Buffer.alloc(64 * 1024, 'x');
// More than the buffers of all sockets on the way can hold.
const TOTAL = 1024 * CHUNK.length;

/** Writes as fast as `stream` lets it. */
function pump(stream: Writable): { written: number } {
  const progress = { written: 0 };
  const more = () => {
    while (progress.written < TOTAL) {
      progress.written += CHUNK.length;
      if (!stream.write(CHUNK)) {
        stream.once('drain', more);
        return;
      }
    }
    stream.end();
  };
  more();
  return progress;
}

t.test('a client that does not read stops the upstream, and starts it again', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const call = open(url + MODELS);
  call.request.end();
  const { response } = await upstream.next();
  const progress = pump(response);
  const received = await call.response;
  const stopped = await untilStandstill(url, () => progress.written);
  t.ok(stopped < TOTAL / 2, `stopped after ${stopped} bytes`);
  t.equal((await readAll(received)).length, TOTAL);
});

t.test('an upstream that does not read stops the client, and starts it again', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const call = open(url + RESPONSES, { method: 'POST' });
  const progress = pump(call.request);
  const { request, response } = await upstream.next();
  const stopped = await untilStandstill(url, () => progress.written);
  t.ok(stopped < TOTAL / 2, `stopped after ${stopped} bytes`);
  t.equal((await readAll(request)).length, TOTAL);
  response.end();
  t.equal((await call.response).statusCode, 200);
});
