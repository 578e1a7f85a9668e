import t, { type Test } from 'tap';
import { closeOf, dialTcp, readAll, readUntil, send } from '../helpers/exchange.ts';
import { type Fault, FaultyUpstream, says } from '../helpers/faulty-upstream.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { upgradeText } from '../helpers/websocket.ts';
import { head } from '../helpers/wire-text.ts';

const upstream = await FaultyUpstream.start(t);
const { url, port } = await startSidecarInFrontOf(t, `http://127.0.0.1:${upstream.port}`);

const SWITCHED = head(
  'HTTP/1.1 101 Switching Protocols',
  'upgrade: websocket',
  'connection: upgrade',
);

async function upgrade(t: Test, fault: Fault) {
  upstream.order(fault);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  return client;
}

async function checkNext(t: Test): Promise<void> {
  await untilStatus(url, ({ connections }) => connections.http + connections.websocket === 0);
  t.equal(upstream.heads.length, 1);
  t.equal((await send(url + MODELS)).text, 'next');
}

t.test('half a 101 is no answer', async (t) => {
  const client = await upgrade(t, says(SWITCHED.slice(0, -8), 'end'));
  const answer = String(await readAll(client));
  t.match(answer, /^HTTP\/1\.1 502 /);
  t.match(answer, '\r\nx-sidecar-error: UPSTREAM_UNREACHABLE\r\n');
  client.end();
  await checkNext(t);
});

t.test('an end right behind the 101 reaches the client behind it', async (t) => {
  const client = await upgrade(t, says(`${SWITCHED}last words`, 'end'));
  t.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 101 /);
  t.equal(String(await readAll(client)), 'last words');
  client.end();
  await checkNext(t);
});

t.test('a reset right behind the 101 ends the client', async (t) => {
  const client = await upgrade(t, says(SWITCHED, 'resetAndDestroy'));
  t.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 101 /);
  await closeOf(client);
  await checkNext(t);
});

t.test('frames that are none pass as they are, and end with the upstream', async (t) => {
  const garbage = '\u0000\u00ff\u0081\u00fe not a frame';
  const client = await upgrade(t, says(`${SWITCHED}${garbage}`, 'end'));
  await readUntil(client, '\r\n\r\n');
  t.equal((await readAll(client)).toString('latin1'), garbage);
  client.end();
  await checkNext(t);
});
