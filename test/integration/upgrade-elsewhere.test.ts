import { once } from 'node:events';
import t from 'tap';
import { dialTcp, readAll, readUntil, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade, upgradeText } from '../helpers/websocket.ts';

const H2C = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n';

t.test(
  'an upgrade to another protocol is a plain request, body and keep-alive included',
  async (t) => {
    const upstream = await startUpstream(t);
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const client = await dialTcp(t, port);
    const bodies = ['content-length: 10\r\n\r\n0123456789', 'transfer-encoding: chunked\r\n\r\n'];
    for (const body of bodies) {
      client.write(`POST ${RESPONSES}?x HTTP/1.1\r\nhost: localhost\r\n${H2C}${body}`);
      if (body.endsWith('\r\n\r\n')) client.write('5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n');
      const { request, response } = await upstream.next();
      t.equal(`${request.method} ${request.url}`, `POST ${RESPONSES}?x`);
      t.equal(String(await readAll(request)), '0123456789');
      t.equal(request.headers.upgrade, undefined);
      t.equal(request.headers['http2-settings'], undefined);
      response.end('done');
      t.match(await readUntil(client, 'done'), /^HTTP\/1\.1 200 OK\r\n/);
    }
  },
);

t.test('so is a WebSocket upgrade by another method, or with a body', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const requests = [
    upgradeText(RESPONSES).replace('GET', 'POST'),
    `${upgradeText(RESPONSES, { 'content-length': '4' })}body`,
    `${upgradeText(RESPONSES, { 'transfer-encoding': 'chunked' })}4\r\nbody\r\n0\r\n\r\n`,
  ];
  for (const [index, text] of requests.entries()) {
    const client = await dialTcp(t, port);
    client.write(text);
    const { request, response } = await upstream.next();
    t.equal(String(await readAll(request)), index === 0 ? '' : 'body');
    t.equal(request.headers.upgrade, undefined);
    response.writeHead(426, { upgrade: 'websocket' }).end();
    t.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 426 /);
  }
});

t.test("an upgrade on the sidecar's own endpoints is answered as plain HTTP", async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  await untilStatus(url, ({ status }) => status === 'ready');
  for (const path of ['/auth/status', '/livez']) {
    const answer = await tryUpgrade(url + path);
    t.equal(answer.status, (await send(url + path)).status);
    t.ok(JSON.parse(answer.text).status);
  }
});

t.test('a WebSocket upgrade of a plain route is relayed with its bearer', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = tryUpgrade(`${url}/backend-api/codex/realtime`);
  const { request, socket } = await upstream.nextUpgrade();
  t.match(request.headers.authorization, /^Bearer /);
  socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
  t.equal((await answer).status, 404);
});

for (const protocol of ['websocket', 'h2c']) {
  t.test(`an upgrade to ${protocol} ahead of an open answer does no harm`, async (t) => {
    const upstream = await startUpstream(t);
    const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
    const client = await dialTcp(t, port);
    client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    const { response } = await upstream.next();
    response.write('open');
    await readUntil(client, 'open');
    client.write(upgradeText(RESPONSES, { upgrade: protocol }));
    const gone = once(response, 'close');
    client.resume();
    await gone;
    t.equal((await send(`${url}/livez`)).status, 200, 'the process lives');
    t.equal(upstream.requests.length, 1);
  });
}
