import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import t, { type Test } from 'tap';
import { headersOf, makeClientsFile } from '../helpers/clients.ts';
import { localError, open, readAnswer, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.jobs = 3;

const COMPACT = `${RESPONSES}/compact`;
/** Longer than what is waited for. */
const LONG = 'x'.repeat(300_000);

async function start(t: Test, config: object = {}) {
  const { path } = await makeClientsFile(t, { a: 'models=gpt-5.1,gpt-5.1-*', free: '' });
  const bodies: Buffer[] = [];
  const cut: string[] = [];
  const upstream = await startUpstream(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => cut.push(request.url ?? ''));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks));
      response.end('ok');
    });
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { clients: { tokensFile: path }, ...config },
  });
  const post = (body: Buffer | string, headers = {}, path = RESPONSES, name = 'a') =>
    send(url + path, { method: 'POST', headers: { ...headersOf(name), ...headers }, body });
  return { url, post, bodies, cut, upstream };
}

const CODINGS: Record<string, (bytes: Buffer) => Buffer> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
};
// Node 20 has no zstd, and its types do not know it.
const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Buffer) => Buffer };
if (zstdCompressSync) CODINGS.zstd = zstdCompressSync;

for (const [coding, encode] of Object.entries(CODINGS)) {
  t.test(`${coding}: an allowed model passes byte for byte, another one does not`, async (t) => {
    const { post, bodies, upstream } = await start(t);
    const headers = { 'content-encoding': coding };
    for (const body of [
      { model: 'gpt-5.1', input: 'hi' },
      { model: 'gpt-5.1-codex-max', input: LONG },
      { input: LONG, model: 'gpt-5.1' },
    ]) {
      const bytes = encode(Buffer.from(JSON.stringify(body)));
      t.equal((await post(bytes, headers)).status, 200);
      t.ok(bodies.pop()?.equals(bytes));
    }
    const before = upstream.requests.length;
    for (const body of [{ model: 'gpt-6', input: LONG }, { model: 'gpt-5' }, { input: 'hi' }]) {
      const answer = await post(encode(Buffer.from(JSON.stringify(body))), headers);
      localError(t, answer, 400, 'AUTH_MODEL_DENIED');
    }
    t.equal(upstream.requests.length, before, 'nothing of it went upstream');
  });
}

for (const framing of ['chunked', 'content-length']) {
  t.test(`${framing}: a model that comes late is judged before the end passes`, async (t) => {
    const { url, bodies, upstream } = await start(t);
    const head = `{"input":"${LONG}",`;
    for (const tail of ['"model":"gpt-6"}', '"input":1}', '"model":"gpt-5.1","model":"gpt-6"}']) {
      const length = { 'content-length': head.length + tail.length };
      const headers = { ...headersOf('a'), ...(framing === 'chunked' ? {} : length) };
      const call = open(url + RESPONSES, { method: 'POST', headers });
      const before = upstream.requests.length;
      call.request.write(head);
      while (upstream.requests.length === before) await turn();
      call.request.end(tail);
      localError(t, await readAnswer(await call.response), 400, 'AUTH_MODEL_DENIED');
    }
    t.equal(bodies.length, 0, 'the upstream never saw a whole one');
  });
}

t.test('the answer says what is allowed, or what is unclear', async (t) => {
  const { post } = await start(t);
  const said = async (body: string, headers = {}) => JSON.parse((await post(body, headers)).text);
  t.match(await said('{"model":"gpt-6"}'), {
    error: {
      message:
        'the client token "a" is limited to models: it may use gpt-5.1, gpt-5.1-*, and not gpt-6',
    },
  });
  t.match(await said('{"model":"gpt-5.1"}{}'), { error: { message: /it is not a JSON object$/ } });
  t.match(await said('{"model":"gpt-5.1"'), { error: { message: /not a whole JSON object$/ } });
  t.match(await said('{}'), { error: { message: /it names no model$/ } });
  t.match(await said('{"model":"gpt-5.1"}', { 'content-encoding': 'gzip' }), {
    error: { message: /it cannot be decoded$/ },
  });
  for (const coding of ['compress', 'gzip, gzip', 'toString']) {
    t.match(await said('{}', { 'content-encoding': coding }), {
      error: { message: /cannot be read; send it without$/ },
    });
  }
});

t.test('the upstream learns of the coding behind which the model was judged', async (t) => {
  const { post, upstream } = await start(t);
  const headers = {
    'content-encoding': 'gzip',
    connection: 'close, Content-Encoding, x-own',
    'x-own': '1',
  };
  t.equal((await post(zlib.gzipSync('{"model":"gpt-5.1"}'), headers)).status, 200);
  const seen = upstream.requests.at(-1)?.headers;
  t.equal(seen?.['content-encoding'], 'gzip');
  t.equal(seen?.['x-own'], undefined);
});

t.test('a small body that grows beyond measure is given up', async (t) => {
  const { post, upstream } = await start(t, { limits: { bodyBytes: 2_000_000 } });
  const bomb = zlib.gzipSync(Buffer.from(`{"input":"${'x'.repeat(5_000_000)}","model":"gpt-5.1"}`));
  const answer = await post(bomb, { 'content-encoding': 'gzip' });
  localError(t, answer, 400, 'AUTH_MODEL_DENIED');
  t.match(answer.text, /it has more than 2000000 bytes when decoded/);
  t.ok(upstream.requests.length <= 1);
});

t.test('a few bytes cannot become more than anybody writes', async (t) => {
  const { post, upstream } = await start(t);
  const text = Buffer.from(`{"model":"gpt-5.1","input":"${' '.repeat(9_000_000)}"}`);
  for (const [coding, body] of [
    ['gzip', zlib.gzipSync(text)],
    ['br', zlib.brotliCompressSync(text, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })],
  ] as const) {
    const answer = await post(body, { 'content-encoding': coding });
    localError(t, answer, 400, 'AUTH_MODEL_DENIED');
    t.match(answer.text, /it has more than 200 times as many bytes when decoded/);
  }
  t.equal(upstream.requests.length, 0);
});

t.test('bytes behind the end of a compressed body', async (t) => {
  const { post, bodies } = await start(t);
  const model = Buffer.from('{"model":"gpt-5.1"}');
  for (const [coding, body] of [
    ['deflate', zlib.deflateSync(model)],
    ['br', zlib.brotliCompressSync(model)],
  ] as const) {
    for (const more of ['x', '{"model":"gpt-6"}']) {
      const bytes = Buffer.concat([body, Buffer.from(more)]);
      localError(t, await post(bytes, { 'content-encoding': coding }), 400, 'AUTH_MODEL_DENIED');
    }
  }
  const whole = zlib.gzipSync('{"model":"gpt-5.1"}');
  const second = zlib.gzipSync('{"model":"gpt-6"}');
  const answer = await post(Buffer.concat([whole, second]), { 'content-encoding': 'gzip' });
  localError(t, answer, 400, 'AUTH_MODEL_DENIED');
  await post(Buffer.concat([whole, Buffer.from('garbage')]), { 'content-encoding': 'gzip' });
  t.ok(bodies.length <= 1);
});

t.test('inference is judged, and must name a model', async (t) => {
  const { post } = await start(t);
  const statuses = async (body: string) =>
    Promise.all([RESPONSES, COMPACT].map(async (path) => (await post(body, {}, path)).status));
  t.strictSame(await statuses('{"model":"gpt-5.1"}'), [200, 200]);
  t.strictSame(await statuses('{"model":"gpt-6"}'), [400, 400]);
  t.strictSame(await statuses('{"Model":"gpt-5.1"}'), [400, 400]);
  t.strictSame(await statuses('{"query":"x"}'), [400, 400]);
  t.equal((await post('{"model":"gpt-6"}', {}, '/v1/responses')).status, 400);
  t.equal((await post('{"model":"gpt-6"}', {}, '/backend-api/wham/usage')).status, 200, 'no model');
  t.equal((await post('{"model":"gpt-6"}', {}, RESPONSES, 'free')).status, 200);
});

t.test('a client that waits for 100 (Continue) is judged as well', async (t) => {
  const { url, bodies } = await start(t);
  for (const [model, status] of [
    ['gpt-5.1', 200],
    ['gpt-6', 400],
  ] as const) {
    const body = JSON.stringify({ model });
    const headers = {
      ...headersOf('a'),
      expect: '100-continue',
      'content-length': `${body.length}`,
    };
    const call = open(url + RESPONSES, { method: 'POST', headers });
    call.request.flushHeaders();
    await once(call.request, 'continue');
    call.request.end(body);
    t.equal((await readAnswer(await call.response)).status, status);
  }
  t.equal(bodies.length, 1);
});

t.test('a client that leaves before it named a model leaves nothing behind', async (t) => {
  const { url, post } = await start(t);
  const call = open(url + RESPONSES, { method: 'POST', headers: headersOf('a') });
  call.response.catch(() => undefined);
  call.request.write('{"input":"');
  await turn();
  call.request.destroy();
  t.equal((await post('{"model":"gpt-5.1"}')).status, 200);
});
