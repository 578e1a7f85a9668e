import t from 'tap';
import { closeOf, dialTcp, readUntil } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStandstill, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, upgradeText } from '../helpers/websocket.ts';

t.test('the client hears nothing before the upstream has answered', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { request, socket } = await upstream.nextUpgrade();
  await untilStandstill(url, () => client.bytesRead);
  t.equal(client.bytesRead, 0);
  socket.write(switchingText(request));
  t.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
});

t.test('the handshake is between client and upstream', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  const offer = {
    'sec-websocket-protocol': 'a, b',
    'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
  };
  client.write(upgradeText(`${RESPONSES}?q=%20`, offer));
  const { request, socket } = await upstream.nextUpgrade();
  t.equal(request.url, `${RESPONSES}?q=%20`);
  t.match(request.headers, { ...offer, connection: 'upgrade', upgrade: 'websocket' });
  const answer = [
    'Sec-WebSocket-Protocol: b',
    'Sec-WebSocket-Extensions: permessage-deflate',
    'X-Codex-Turn-State: s',
  ];
  const text = switchingText(request, ...answer, 'Set-Cookie: a=b');
  socket.write(text);
  const head = await readUntil(client, '\r\n\r\n');
  for (const line of [...answer, text.match(/Sec-WebSocket-Accept: .*/)?.[0] ?? '-']) {
    t.match(head, `\r\n${line}\r\n`);
  }
  t.match(head, /\r\nconnection: Upgrade\r\n/i);
  t.match(head, /\r\nupgrade: websocket\r\n/i);
  t.notMatch(head, /set-cookie/i);
});

t.test('an open WebSocket shows in the status', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { request, socket } = await upstream.nextUpgrade();
  await untilStatus(url, ({ connections }) => connections.http === 1);
  socket.write(switchingText(request));
  const open = await untilStatus(url, ({ connections }) => connections.websocket === 1);
  t.equal(open.connections.http, 0);
  t.equal(open.upstream.lastStatus, 101);
  client.destroy();
  await closeOf(socket);
  await untilStatus(url, ({ connections }) => connections.websocket === 0);
});
