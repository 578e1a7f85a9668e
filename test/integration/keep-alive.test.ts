import { Agent } from 'node:http';
import t, { type Test } from 'tap';
import { localError, open, readAnswer, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { closedPort, startUpstream } from '../helpers/upstream.ts';

// More than the buffers on the way hold, so that it can only be sent if somebody reads it.
const LARGE = Buffer.alloc(20 * 1024 * 1024, 'x');

/** A client with one connection that it uses again; `ports` are the ones it came from. */
function oneConnection(t: Test) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ports = new Set<number | undefined>();
  const ask = async (url: string, body?: Buffer, headers = {}) => {
    const method = body ? 'POST' : 'GET';
    const { request, response } = open(url, { method, headers, agent });
    request.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => ports.add(socket.localPort));
      else ports.add(socket.localPort);
    });
    // The next request can start only when all of this one has been sent.
    request.end(body);
    return readAnswer(await response);
  };
  return { ask, ports };
}

for (const [framing, headers] of [
  ['chunked', { 'transfer-encoding': 'chunked' }],
  ['content-length', { 'content-length': LARGE.length }],
] as const) {
  t.test(`after an early answer of the upstream the connection goes on, ${framing}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(429, { 'x-request-id': 'r' }).end('too much');
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const { ask, ports } = oneConnection(t);
    for (let i = 0; i < 3; i++) {
      const answer = await ask(url + RESPONSES, LARGE, headers);
      t.match(answer, { status: 429, text: 'too much', headers: { 'x-request-id': 'r' } });
    }
    t.equal(ports.size, 1);
  });

  t.test(`after a local error the connection goes on, ${framing}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
    const config = { limits: { bodyBytes: 1024, drainSeconds: 0 } };
    const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
    const { ask, ports } = oneConnection(t);
    const denied = '/backend-api/wham/remote/control/x';
    localError(t, await ask(url + denied, LARGE, headers), 403, 'AUTH_ROUTE_DENIED');
    localError(t, await ask(`${url}/unknown`, LARGE, headers), 403, 'AUTH_ROUTE_DENIED');
    localError(t, await ask(url + RESPONSES, LARGE, headers), 413, 'AUTH_BODY_TOO_LARGE');
    t.equal((await ask(url + MODELS)).text, 'ok');
    t.equal(ports.size, 1);
  });

  t.test(`after an unreachable upstream the connection goes on, ${framing}`, async (t) => {
    const { url } = await startSidecarInFrontOf(t, `http://127.0.0.1:${await closedPort()}`);
    const { ask, ports } = oneConnection(t);
    for (let i = 0; i < 2; i++) {
      const answer = await ask(url + RESPONSES, LARGE, headers);
      localError(t, answer, 502, 'UPSTREAM_UNREACHABLE');
    }
    t.equal((await ask(`${url}/livez`)).status, 200);
    t.equal(ports.size, 1);
  });
}

t.test('an upstream that closed an idle connection is dialled anew', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    response.end('ok', () => request.socket.end());
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  for (let i = 1; i <= 3; i++) {
    t.equal((await send(url + MODELS)).text, 'ok');
    t.equal(upstream.requests.length, i);
  }
});
