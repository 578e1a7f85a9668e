import t from 'tap';
import { loginWithIdentity } from '../helpers/credentials.ts';
import { localError, open, readAnswer, send } from '../helpers/exchange.ts';
import {
  MODELS,
  RESPONSES,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

t.test('300 requests reach the upstream before one of them is answered', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answers = Array.from({ length: 300 }, () => send(url + RESPONSES, { method: 'POST' }));
  const held = [];
  while (held.length < answers.length) held.push(await upstream.next());
  for (const { response } of held) response.end('ok');
  for (const { text } of await Promise.all(answers)) t.equal(text, 'ok');
});

t.test('what is over upstream.maxConnections is refused and not queued', async (t) => {
  const upstream = await startUpstream(t);
  const config = { upstream: { maxConnections: 2 } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const held = [send(url + MODELS), send(url + MODELS)];
  const [one, two] = [await upstream.next(), await upstream.next()];
  for (const answer of [await send(url + MODELS), await tryUpgrade(url + RESPONSES)]) {
    localError(t, answer, 503, 'UPSTREAM_BUSY');
    t.equal(answer.headers['retry-after'], '1');
  }
  one.response.end();
  two.response.end();
  for (const answer of await Promise.all(held)) t.equal(answer.status, 200);
  t.equal(upstream.requests.length, 2, 'the refused ones were not kept for later');
  await untilStatus(url, ({ connections }) => connections.http === 0);
  const next = send(url + MODELS);
  (await upstream.next()).response.end();
  t.equal((await next).status, 200, 'there is room again');
});

t.test('requests that wait for the credential count', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t, {
    config: { upstream: { maxConnections: 1 } },
    credential: (backend) => {
      backend.addFault({ path: '/api/accounts/v1/agent/register', action: 'hang' });
      return loginWithIdentity(backend);
    },
  });
  // The start of the sidecar may have sent the one that hangs already; the request waits for it.
  await emulator.waitFor(({ path }) => path.endsWith('/agent/register'));
  const waiting = open(url + RESPONSES, { method: 'POST' });
  waiting.request.end();
  await untilStatus(url, ({ connections }) => connections.http === 1);
  localError(t, await send(url + MODELS), 503, 'UPSTREAM_BUSY');
  waiting.request.destroy();
  await untilStatus(url, ({ connections }) => connections.http === 0);
  t.equal((await send(url + MODELS)).status, 200);
});

t.test('an open WebSocket counts', async (t) => {
  const upstream = await startUpstream(t);
  const config = { upstream: { maxConnections: 1 } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const dialling = tryUpgrade(url + RESPONSES);
  const { socket } = await upstream.nextUpgrade();
  localError(t, await send(url + MODELS), 503, 'UPSTREAM_BUSY');
  socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  t.equal((await dialling).status, 426);
  await untilStatus(url, ({ connections }) => connections.http === 0);
  const call = open(url + MODELS);
  call.request.end();
  (await upstream.next()).response.end('ok');
  t.equal((await readAnswer(await call.response)).text, 'ok', 'a refused upgrade frees its place');
});
