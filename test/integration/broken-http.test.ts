import { once } from 'node:events';
import t from 'tap';
import {
  closeOf,
  dialTcp,
  localError,
  parseResponse,
  readAll,
  readUntil,
  send,
} from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const POST = `POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n`;

t.test('a broken chunk before the answer is a 400, and the upstream is let go', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`${POST}3\r\nabc\r\n`);
  const { request } = await upstream.next();
  client.write('this is no chunk\r\n');
  localError(t, parseResponse(String(await readAll(client))), 400, 'AUTH_REQUEST_INVALID');
  client.end();
  await closeOf(request);
  t.notOk(request.complete);
});

t.test('a broken chunk after the answer began cuts it, with nothing written into it', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`${POST}3\r\nabc\r\n`);
  const { request, response } = await upstream.next();
  response.write('event');
  await readUntil(client, '5\r\nevent\r\n');
  client.write('this is no chunk\r\n');
  t.equal(String(await readAll(client)), '');
  await closeOf(request);
});

t.test('no HTTP behind an open answer does not get into it', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  const { response } = await upstream.next();
  response.write('event');
  await readUntil(client, '5\r\nevent\r\n');
  client.write('this is no HTTP\r\n\r\n');
  t.equal(String(await readAll(client)), '');
  await closeOf(response);
});

t.test('a client that is told 400 and resets does no harm', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write('this is no HTTP\r\n\r\n');
  await once(client, 'data');
  client.resetAndDestroy();
  t.equal((await send(`${url}/livez`)).status, 200);
});

t.test('a client that sends on after its 400 gets all of it, and an end in order', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  const sent = once(client, 'finish');
  client.end(`GET / HTTP/1.1\r\nx: ${'x'.repeat(16 * 1024 * 1024)}`);
  localError(t, parseResponse(String(await readAll(client))), 400, 'AUTH_REQUEST_INVALID');
  await sent;
});

t.test('requests sent ahead are answered in order', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`GET ${MODELS}?1 HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  client.write(`GET ${MODELS}?2 HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  const [one, two] = [await upstream.next(), await upstream.next()];
  two.response.end('second');
  one.response.end('first;');
  const text = await readUntil(client, 'second');
  t.ok(text.indexOf('first;') < text.indexOf('second'));
});
