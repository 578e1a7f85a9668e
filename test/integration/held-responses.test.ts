import { once } from 'node:events';
import t from 'tap';
import { dialTcp, readUntil, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startTcpUpstream, startUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

const HEAD =
  'HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n';

t.test('a rejection whose body stalls is still shown, for a request and an upgrade', async (t) => {
  for (const text of [
    `GET ${MODELS} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    upgradeText(RESPONSES),
  ]) {
    const upstream = await startTcpUpstream(t);
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const client = await dialTcp(t, port);
    client.write(text);
    const socket = await upstream.next();
    await once(socket, 'data');
    socket.write(`${HEAD}{"error":`);
    t.match(await readUntil(client, '{"error":'), /^HTTP\/1\.1 401 Unauthorized\r\n/);
    socket.write('x'.repeat(100 - '{"error":'.length));
    t.match(await readUntil(client, 'xxx'), 'x', 'what comes later still passes');
  }
});

t.test('a rejection that comes in time is judged, and costs no wait', async (t) => {
  let count = 0;
  const upstream = await startUpstream(t, (_request, response) => {
    response.statusCode = 401;
    response.end(`{"error":{"code":"c${++count}"}}`);
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  t.match(await send(url + MODELS), { status: 401, text: /"code":"c\d"/ });
});
