import { once } from 'node:events';
import t from 'tap';
import { closeOf, dialTcp, localError, readAll, readUntil, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStandstill, untilStatus } from '../helpers/until-status.ts';
import { closedPort, startTcpUpstream, startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade, upgradeText } from '../helpers/websocket.ts';

const BODY = '{"error":{"message":"of the upstream"}}';

for (const status of [200, 301, 400, 401, 403, 426, 429, 503]) {
  t.test(`a ${status} of the upstream reaches the client whole`, async (t) => {
    const upstream = await startUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = tryUpgrade(url + RESPONSES);
    const { socket } = await upstream.nextUpgrade();
    const extra = status === 426 ? 'Upgrade: websocket\r\nConnection: Upgrade\r\n' : '';
    socket.end(
      `HTTP/1.1 ${status} Reason\r\n${extra}X-Request-Id: r\r\nRetry-After: 9\r\n` +
        `Set-Cookie: a=b\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
    );
    const { headers, text, ...rest } = await answer;
    t.equal(rest.status, status);
    t.equal(text, BODY);
    t.match(headers, { 'x-request-id': 'r', 'retry-after': '9' });
    t.equal(headers.upgrade, status === 426 ? 'websocket' : undefined);
    t.equal(headers['set-cookie'], undefined);
    t.equal(headers['x-sidecar-error'], undefined);
    await untilStatus(url, ({ connections }) => connections.http === 0);
  });
}

t.test('a chunked refusal streams', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { socket } = await upstream.nextUpgrade();
  socket.write('HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
  t.match(await readUntil(client, 'one\r\n'), /^HTTP\/1\.1 403 /);
  // Of a client that did not wait; now it is of no use, and no reason to cut the answer.
  client.write(Buffer.alloc(1024 * 1024));
  await untilStandstill(url, () => client.bytesRead);
  socket.write('3\r\ntwo\r\n0\r\n\r\n');
  t.equal(await readUntil(client, '0\r\n\r\n'), '3\r\ntwo\r\n0\r\n\r\n');
});

t.test('a client that hangs up in the middle of a refusal frees the upstream', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { socket } = await upstream.nextUpgrade();
  socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nsome');
  await readUntil(client, 'some');
  client.destroy();
  await closeOf(socket);
  await untilStatus(url, ({ connections }) => connections.http === 0);
});

t.test('a refused upgrade is over once it is answered, whenever its client hangs up', async (t) => {
  const upstream = await startUpstream(t);
  const config = { upstream: { maxConnections: 1 } };
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n');
  t.match(String(await readAll(client)), /^HTTP\/1\.1 426 /);
  const next = send(url + MODELS);
  (await upstream.next()).response.end('next');
  t.equal((await next).text, 'next');
  t.notOk(client.closed);
});

t.test('an upstream where nobody listens is a 502', async (t) => {
  const { url } = await startSidecarInFrontOf(t, `http://127.0.0.1:${await closedPort()}`);
  localError(t, await tryUpgrade(url + RESPONSES), 502, 'UPSTREAM_UNREACHABLE');
  await untilStatus(url, ({ connections }) => connections.http === 0);
});

t.test('an upstream that hangs up without an answer is a 502', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = tryUpgrade(url + RESPONSES);
  const socket = await upstream.next();
  await once(socket, 'data');
  socket.resetAndDestroy();
  localError(t, await answer, 502, 'UPSTREAM_UNREACHABLE');
});

t.test('a refused upgrade is dialled once, and the next request works', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = tryUpgrade(url + RESPONSES);
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n');
  t.equal((await answer).status, 503);
  const next = send(url + MODELS);
  (await upstream.next()).response.end('next');
  t.equal((await next).text, 'next');
  t.equal(upstream.requests.length, 2);
});
