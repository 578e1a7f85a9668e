import { once } from 'node:events';
import t from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { closeOf, dialTcp, open } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

const nothingOpen = (url: string) => untilStatus(url, ({ connections }) => connections.http === 0);

t.test('gone while the credential is fetched: no request', async (t) => {
  const upstream = await startUpstream(t);
  const config = { agentIdentity: { policy: 'chatgptAuth' } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const agent = await upstream.next();
  // Without a body, which would be missing now, so that nothing else keeps it back.
  const headers = { 'x-number': '1', 'content-length': 0 };
  const gone = open(url + RESPONSES, { method: 'POST', headers });
  gone.request.end();
  await untilStatus(url, ({ connections }) => connections.http === 1);
  gone.request.destroy();
  await nothingOpen(url);
  agent.response.end('{"agent_runtime_id":"agent-1"}');
  (await upstream.next()).response.end('{"task_id":"task-1"}');
  const other = open(url + RESPONSES, { method: 'POST', headers: { 'x-number': '2' } });
  other.request.end('{}');
  const { request, response } = await upstream.next();
  t.equal(request.headers['x-number'], '2');
  response.end();
  t.equal((await other.response).statusCode, 200);
});

t.test('gone while the connection is made: nothing is sent on it', async (t) => {
  const tls = await makeCertificate(t);
  const upstream = await startUpstream(t, null, tls);
  const wire = await startTcpUpstream(t);
  const config = { upstream: { caFile: tls.path } };
  const { url } = await startSidecarInFrontOf(t, wire.origin.replace('http', 'https'), { config });
  const gone = open(url + MODELS);
  gone.request.end();
  // The handshake does not go on before the client has left.
  const socket = await wire.next();
  gone.request.destroy();
  await nothingOpen(url);
  socket.pipe(await dialTcp(t, upstream.port)).pipe(socket);
  // The sidecar hangs up once it has the connection.
  await closeOf(socket);
  t.equal(upstream.connections, 1);
  t.strictSame(upstream.requests, []);
});

t.test('gone before the headers: the upstream is let go', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const gone = open(url + MODELS);
  gone.request.end();
  const { response } = await upstream.next();
  gone.request.destroy();
  await closeOf(response);
  await nothingOpen(url);
  t.equal(upstream.requests.length, 1);
});

t.test('gone in the middle of the stream: the upstream is let go', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const gone = open(url + RESPONSES, { method: 'POST' });
  gone.request.end('{}');
  const { response } = await upstream.next();
  response.write('data: 1\n\n');
  const received = await gone.response;
  await once(received, 'data');
  gone.request.destroy();
  await closeOf(response);
  t.notOk(response.writableFinished);
  await nothingOpen(url);
});

t.test('gone in the middle of its own body: the upstream is let go', async (t) => {
  const upstream = await startUpstream(t);
  const { url, log } = await startSidecarInFrontOf(t, upstream.origin);
  for (const headers of [{}, { 'content-length': 100 }]) {
    const gone = open(url + RESPONSES, { method: 'POST', headers });
    gone.request.write('half');
    const { request } = await upstream.next();
    await once(request, 'data');
    gone.request.destroy();
    await closeOf(request);
    t.notOk(request.complete);
    await nothingOpen(url);
  }
  t.notMatch(log.join(''), 'UPSTREAM_', 'the upstream is not to blame');
});

t.test('gone without reading: the upstream is let go', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const gone = open(url + MODELS);
  gone.request.end();
  const { response } = await upstream.next();
  const chunk = Buffer.alloc(1024 * 1024);
  while (response.write(chunk));
  await gone.response;
  gone.request.destroy();
  await closeOf(response);
  await nothingOpen(url);
});
