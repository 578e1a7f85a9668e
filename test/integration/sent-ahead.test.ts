import t from 'tap';
import { closeOf, dialTcp, readUntil } from '../helpers/exchange.ts';
import { MODELS, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';

const GET = `GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

t.test('a client that goes ends every exchange of its connection', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(GET.repeat(3));
  const answers = [await upstream.next(), await upstream.next(), await upstream.next()];
  await untilStatus(url, ({ connections }) => connections.http === 3);
  const ends = answers.map(({ response }) => closeOf(response));
  client.destroy();
  await Promise.all(ends);
  const { connections } = await untilStatus(url, (status) => status.connections.http === 0);
  t.equal(connections.websocket, 0);
});

t.test('what is sent ahead beyond a bound does not reach the upstream', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(GET.repeat(40));
  const answers = [];
  for (let i = 0; i < 32; i++) answers.push(await upstream.next());
  await untilStatus(url, ({ connections }) => connections.http === 32);
  for (const { response } of answers) response.end('ok');
  for (let i = 0; i < 32; i++) await readUntil(client, 'ok');
  for (let i = 0; i < 8; i++) await readUntil(client, 'AUTH_REQUEST_INVALID"}}');
  t.equal(upstream.requests.length, 32);
  client.write(GET);
  (await upstream.next()).response.end('again');
  await readUntil(client, 'again');
});
