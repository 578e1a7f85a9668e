import t from 'tap';
import {
  closeOf,
  dialTcp,
  localError,
  open,
  readAll,
  readUntil,
  send,
} from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, tryUpgrade, upgradeText } from '../helpers/websocket.ts';

const patient = { limits: { drainSeconds: 60 } };

t.test(
  'a running stream finishes, new requests are refused, then everything is closed',
  async (t) => {
    const upstream = await startUpstream(t);
    const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config: patient });
    const call = open(url + RESPONSES, { method: 'POST' });
    call.request.end('{}');
    const { response } = await upstream.next();
    response.write('data: 1\n\n');
    const received = await call.response;
    const events: string[] = ['stop'];
    const stopped = sidecar.stop().then(() => events.push('stopped'));
    for (const answer of [await send(url + MODELS), await tryUpgrade(url + RESPONSES)]) {
      localError(t, answer, 503, 'AUTH_DRAINING');
      t.equal(answer.headers['retry-after'], '1');
    }
    t.equal(upstream.requests.length, 1);
    events.push('end of the stream');
    response.end('data: 2\n\n');
    t.equal(String(await readAll(received)), 'data: 1\n\ndata: 2\n\n');
    await stopped;
    t.strictSame(events, ['stop', 'end of the stream', 'stopped']);
    await t.rejects(send(`${url}/livez`), { code: 'ECONNREFUSED' });
  },
);

t.test('a connection from before is served once more, and told to close', async (t) => {
  const upstream = await startUpstream(t);
  const { port, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config: patient });
  const [kept, upgrading, idle] = [
    await dialTcp(t, port),
    await dialTcp(t, port),
    await dialTcp(t, port),
  ];
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  for (const client of [kept, upgrading, idle]) {
    client.write(get('/livez'));
    t.notMatch(await readUntil(client, '"live"}'), /connection: close/i);
  }
  const stopped = sidecar.stop();
  kept.write(get(MODELS));
  (await upstream.next()).response.end('served');
  const answer = String(await readAll(kept));
  t.match(answer, /^HTTP\/1\.1 200/);
  t.match(answer, /^connection: close\r$/im);
  kept.end();
  upgrading.write(upgradeText(RESPONSES));
  t.match(String(await readAll(upgrading)), /AUTH_DRAINING/);
  upgrading.end();
  await Promise.all([stopped, closeOf(idle)]);
  t.equal(upstream.requests.length, 1);
});

t.test('a WebSocket that opens during the drain keeps it waiting without a gap', async (t) => {
  const upstream = await startUpstream(t);
  const { port, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config: patient });
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { request, socket } = await upstream.nextUpgrade();
  const stopped = sidecar.stop();
  socket.write(switchingText(request));
  await readUntil(client, '\r\n\r\n');
  socket.end('last words');
  t.equal(String(await readAll(client)), 'last words');
  client.end();
  await stopped;
});

t.test('a request that waits for its credential is waited for', async (t) => {
  const upstream = await startUpstream(t);
  const config = { ...patient, agentIdentity: { policy: 'chatgptAuth' } };
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const agent = await upstream.next();
  const answer = send(url + RESPONSES, { method: 'POST' });
  await untilStatus(url, ({ connections }) => connections.http === 1);
  const stopped = sidecar.stop();
  agent.response.end('{"agent_runtime_id":"agent-1"}');
  (await upstream.next()).response.end('{"task_id":"task-1"}');
  (await upstream.next()).response.end('finished');
  t.equal((await answer).text, 'finished');
  await stopped;
});

t.test('a stream that outlives limits.drainSeconds is cut', async (t) => {
  const upstream = await startUpstream(t);
  const config = { limits: { drainSeconds: 0 } };
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const call = open(url + RESPONSES, { method: 'POST' });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.write('data: 1\n\n');
  const received = await call.response;
  const ends = [closeOf(received), closeOf(response)];
  await sidecar.stop();
  await Promise.all(ends);
  t.notOk(received.complete);
});
