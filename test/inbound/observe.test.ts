import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { identityToken } from '../helpers/credentials.ts';
import { dialTcp, open, readAll, send, sendRaw } from '../helpers/exchange.ts';
import { Records } from '../helpers/exchange-record.ts';
import {
  MODELS,
  RESPONSES,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade, upgradeText } from '../helpers/websocket.ts';

t.test('a proxied request leaves one whole record', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    request.resume().once('end', () => {
      response.writeHead(201, { 'x-request-id': 'req-77' }).end('12345');
    });
  });
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const records = new Records(sidecar);
  await send(`${url}${RESPONSES}?key=hidden`, { body: 'ten  bytes' });
  const record = await records.nth(1);
  t.match(record, {
    client: null,
    method: 'POST',
    path: RESPONSES,
    kind: 'assertion',
    status: 201,
    upgrade: false,
    bytesUp: 10,
    bytesDown: 5,
    upstreamRequestId: 'req-77',
    challenged: false,
    code: null,
    outcome: 'complete',
  });
  const { upstreamMs, firstByteMs, durationMs } = record;
  t.ok(upstreamMs !== null && firstByteMs !== null && upstreamMs > 0, 'times were taken');
  t.ok(Number(upstreamMs) <= Number(firstByteMs) && Number(firstByteMs) <= durationMs);
  t.ok(Math.abs(record.startedAt + durationMs - Date.now()) < 60_000);
  t.equal(records.all.length, 1);
});

t.test('the bytes of an upgraded connection are counted, and its end is seen', async (t) => {
  const stack = await startSidecarWithEmulator(t);
  const records = new Records(stack.sidecar);
  const client = new WebSocket(`${stack.url.replace('http', 'ws')}${RESPONSES}`);
  await once(client, 'open');
  t.equal(records.all.length, 0, 'it is not over yet');
  client.close();
  const record = await records.nth(1);
  t.match(record, { method: 'GET', path: RESPONSES, kind: 'assertion', status: 101 });
  t.match(record, { upgrade: true, outcome: 'complete', code: null });
  // One masked close frame up, one close frame down.
  t.equal(record.bytesUp, 6);
  t.equal(record.bytesDown, 2);
  t.type(record.firstByteMs, 'number');
});

t.test('what the sidecar answers itself is on record too', async (t) => {
  const { url, port, sidecar } = await startSidecarWithEmulator(t, { credential: identityToken });
  const records = new Records(sidecar);
  let count = 0;
  const cases: [() => Promise<unknown>, object][] = [
    [() => send(url + MODELS), { kind: 'bearer', status: 403, code: 'AUTH_NO_BEARER' }],
    [
      () => send(`${url}/backend-api/wham/remote/control/x`),
      { kind: 'deny', status: 403, code: 'AUTH_ROUTE_DENIED' },
    ],
    [
      () => send(`${url}/elsewhere?secret`),
      { kind: 'unmatched', path: '/elsewhere', status: 403, code: 'AUTH_ROUTE_DENIED' },
    ],
    [
      () => send(`${url}/auth/status`, { headers: { host: 'evil.example' } }),
      { kind: 'own', path: '/auth/status', status: 403, code: 'AUTH_HOST_NOT_ALLOWED' },
    ],
    [() => send(`${url}/livez`), { kind: 'own', path: '/livez', status: 200, code: null }],
    [
      () => send(`${url}/backend-api/a%2fb`),
      { kind: 'unmatched', status: 400, code: 'AUTH_PATH_INVALID' },
    ],
    [
      () => tryUpgrade(`${url}/backend-api/wham/remote/control/x`),
      { kind: 'deny', upgrade: true, status: 403, code: 'AUTH_ROUTE_DENIED' },
    ],
    [
      () => sendRaw(t, port, 'GET /%ff HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
      { kind: 'unmatched', path: '/%ff', status: 400, code: 'AUTH_PATH_INVALID' },
    ],
    [
      () => sendRaw(t, port, 'CONNECT a.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n'),
      { method: 'CONNECT', path: null, status: 403, code: 'AUTH_ROUTE_DENIED' },
    ],
    [
      () => sendRaw(t, port, 'GET / HTTP/1.1\r\nno colon\r\n\r\n'),
      { method: null, path: null, status: 400, code: 'AUTH_REQUEST_INVALID' },
    ],
  ];
  for (const [act, expected] of cases) {
    await act();
    const record = await records.nth(++count);
    t.match(record, { ...expected, outcome: 'complete', upstreamMs: null, firstByteMs: null });
    t.ok(record.bytesDown > 0, 'with its body');
  }
  const { requests } = JSON.parse((await send(`${url}/auth/status`)).text);
  t.equal(requests.denied, 6, 'every 401 and 403 of our own');
});

t.test('a refused upgrade is on record as soon as it is answered', async (t) => {
  const { port, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  const client = await dialTcp(t, port);
  client.write(upgradeText('/backend-api/wham/remote/control/x'));
  await readAll(client);
  t.notOk(client.closed, 'its connection is still there');
  t.match(records.all, [{ upgrade: true, status: 403, outcome: 'complete' }]);
});

t.test('a target that is no path is not written down', async (t) => {
  const { port, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  const target = 'http://user:password@localhost/livez';
  await sendRaw(t, port, `GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  t.equal((await records.nth(1)).path, null);
});

t.test('an exchange that breaks off says who broke it', async (t) => {
  const upstream = await startUpstream(t);
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const records = new Records(sidecar);

  const unanswered = open(url + MODELS);
  unanswered.request.end();
  await upstream.next();
  unanswered.request.destroy();
  t.match(await records.nth(1), { status: null, outcome: 'clientGone', firstByteMs: null });

  const left = open(url + MODELS);
  left.request.end();
  (await upstream.next()).response.write('begun');
  await left.response;
  left.request.destroy();
  t.match(await records.nth(2), { status: 200, outcome: 'clientGone', bytesDown: 5 });

  const cut = open(url + MODELS);
  cut.request.end();
  const { response } = await upstream.next();
  response.write('begun');
  (await cut.response).on('error', () => undefined);
  response.destroy();
  t.match(await records.nth(3), { status: 200, outcome: 'upstreamCut', code: null });
});

t.test('what a shutdown cuts is told from what clients leave', async (t) => {
  const upstream = await startUpstream(t);
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const records = new Records(sidecar);
  const call = open(url + MODELS);
  call.request.end();
  (await upstream.next()).response.write('begun');
  (await call.response).on('error', () => undefined);
  await sidecar.stop();
  t.match(await records.nth(1), { status: 200, outcome: 'shutdown' });
});

t.test('a challenge of Cloudflare is marked', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(403, { 'cf-mitigated': 'challenge', 'content-type': 'text/html' }).end('…');
  });
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const records = new Records(sidecar);
  await send(url + MODELS);
  t.match(await records.nth(1), { status: 403, challenged: true, code: null });
});
