import t from 'tap';
import { closeOf, localError, open, readAll, readAnswer, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const config = { limits: { bodyBytes: 1000, drainSeconds: 0 } };

t.test('a declared length over the limit is refused before anything goes up', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const call = open(url + RESPONSES, { method: 'POST', headers: { 'content-length': 1001 } });
  call.request.flushHeaders();
  localError(t, await readAnswer(await call.response), 413, 'AUTH_BODY_TOO_LARGE');
  t.equal(upstream.connections, 0);
  call.request.destroy();
});

t.test('a chunked body over the limit is refused, and the upstream let go', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const call = open(url + RESPONSES, { method: 'POST' });
  call.request.write('x'.repeat(600));
  const { request } = await upstream.next();
  call.request.end('x'.repeat(401));
  localError(t, await readAnswer(await call.response), 413, 'AUTH_BODY_TOO_LARGE');
  await closeOf(request);
  t.notOk(request.complete, 'the upstream does not take it for a whole one');
  t.equal(upstream.requests.length, 1);
});

t.test('a chunked body that grows too large after the answer began cuts it', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const call = open(url + RESPONSES, { method: 'POST' });
  call.request.write('x');
  const { response } = await upstream.next();
  response.write('begun');
  const received = await call.response;
  const cut = closeOf(received);
  call.request.write('x'.repeat(1000));
  await cut;
  t.notOk(received.complete);
});

for (const headers of [{ 'content-length': 1000 }, { 'transfer-encoding': 'chunked' }]) {
  t.test(`a body of exactly the limit passes, ${Object.keys(headers)}`, async (t) => {
    const upstream = await startUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
    const answer = send(url + RESPONSES, { method: 'POST', headers, body: 'x'.repeat(1000) });
    const { request, response } = await upstream.next();
    t.equal((await readAll(request)).length, 1000);
    response.end();
    t.equal((await answer).status, 200);
  });
}

t.test('a transfer-encoding besides chunked is refused before anything goes up', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = { 'transfer-encoding': 'gzip, chunked' };
  const answer = await send(url + RESPONSES, { method: 'POST', headers, body: 'x' });
  localError(t, answer, 400, 'AUTH_REQUEST_INVALID');
  t.equal(upstream.connections, 0);
});

t.test('an endpoint of its own reads no body', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  for (const type of ['application/json', 'text/plain', 'nonsense']) {
    const headers = { 'content-type': type, 'transfer-encoding': 'chunked' };
    const call = open(`${url}/auth/reload`, { method: 'POST', headers });
    call.request.write('{ no JSON'.repeat(100_000));
    t.equal((await readAnswer(await call.response)).status, 200, 'it does not wait for the end');
    call.request.destroy();
  }
});
