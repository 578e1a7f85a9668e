import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import * as zlib from 'node:zlib';
import t, { type Test } from 'tap';
import { send } from '../helpers/exchange.ts';
import { startScriptedUpstream, whenWhole } from '../helpers/scripted-upstream.ts';
import { RESPONSES, startSidecarWithClock, WITH_IDENTITY } from '../helpers/sidecar-with-clock.ts';

type Encode = (bytes: Buffer) => Buffer;

const CODINGS: Record<string, Encode> = {
  identity: (bytes) => bytes,
  gzip: zlib.gzipSync,
  'x-gzip': zlib.gzipSync,
  br: zlib.brotliCompressSync,
  deflate: zlib.deflateSync,
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
};
// Node 20 has no zstd, and its types neither.
const { zstdCompressSync } = zlib as { zstdCompressSync?: Encode };
if (zstdCompressSync) CODINGS.zstd = zstdCompressSync;

const DELETED = {
  error: {
    message: 'Agent runtime has been deleted.',
    code: 'biscuit_baker_service_agent_error_status',
  },
};

async function answering(t: Test, status: number, coding: string, body: Buffer) {
  const requests: IncomingMessage[] = [];
  const upstream = await startScriptedUpstream(t, (request, response) => {
    requests.push(request);
    whenWhole(request, () =>
      response
        .writeHead(status, { 'content-type': 'application/json', 'content-encoding': coding })
        .end(body),
    );
  });
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY, origin: upstream.origin });
  const infer = () =>
    send(`${scene.url}${RESPONSES}`, {
      method: 'POST',
      body: '{}',
      headers: { 'accept-encoding': 'zstd,gzip', 'content-type': 'application/json' },
    });
  return { scene, infer, requests };
}

for (const [coding, encode] of Object.entries(CODINGS)) {
  t.test(`a deleted agent is seen in ${coding}`, async (t) => {
    const body = encode(Buffer.from(JSON.stringify(DELETED)));
    const { scene, infer, requests } = await answering(t, 403, coding, body);
    const first = await infer();
    t.equal(first.status, 403);
    t.strictSame(first.bytes, body, 'the bytes are as they came');
    const refused = { status: 400, headers: { 'x-sidecar-error': 'AUTH_IDENTITY_REVOKED' } };
    t.match(await infer(), refused);
    t.equal(requests.length, 1, 'no second request went up');
    t.equal((await scene.status()).agentIdentity.state, 'revoked');
  });

  t.test(`the code of a 401 is read from ${coding}`, async (t) => {
    const body = encode(Buffer.from('{"error":{"code":"task_expired"}}'));
    const { scene, infer } = await answering(t, 401, coding, body);
    t.equal((await infer()).status, 401);
    t.match((await scene.status()).agentIdentity.lastRejection, /^task_expired at /);
  });
}

t.test('a body that is not what its header says, or grows beyond measure, passes', async (t) => {
  const bomb = zlib.gzipSync(Buffer.alloc(32 * 1024 * 1024));
  for (const body of [bomb, randomBytes(100), zlib.brotliCompressSync(Buffer.from('{}'))]) {
    const { scene, infer } = await answering(t, 403, 'gzip', body);
    t.equal((await infer()).status, 403);
    t.equal((await infer()).status, 403, 'nothing was concluded from it');
    t.not((await scene.status()).agentIdentity.state, 'revoked');
  }
});

t.test('only what this Node.js can decode is asked for', async (t) => {
  const { infer, requests } = await answering(t, 200, 'identity', Buffer.from('{}'));
  await infer();
  t.equal(requests[0]?.headers['accept-encoding'], zstdCompressSync ? 'zstd,gzip' : 'gzip');
});
