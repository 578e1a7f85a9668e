import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PROXY_HEADERS } from '../../src/base/proxy-headers.ts';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { nothing } from '../helpers/credentials.ts';
import { EventStream } from '../helpers/event-stream.ts';
import { type Answer, localError, readAnswer, send } from '../helpers/exchange.ts';
import { makeFolder, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';

// Whoever begins a sign-in could have a person type the code, or type it with an account of their own.

const PATH = '/auth/sign-in';
const JSON_TYPE = { 'content-type': 'application/json' };

async function setUp(t: Test, config: PartialConfig = {}) {
  const sidecar = await startSidecarWithEmulator(t, { credential: nothing, config });
  const { port, url } = sidecar;
  const call = (headers: Record<string, string>, method = 'POST') =>
    send(url + PATH, { method, headers: { 'content-length': '0', ...headers } });
  const unasked = () => t.equal(sidecar.emulator.records.length, 0, 'nobody was asked for a code');
  return { ...sidecar, port, url, call, unasked };
}

t.test('a page of another origin, or none, begins and cancels nothing', async (t) => {
  const { call, url, port, unasked } = await setUp(t);
  const own = `localhost:${port}`;
  const refused: Record<string, string>[] = [
    {},
    { 'sec-fetch-site': 'same-origin' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: '' },
    { origin: 'http://127.0.0.1' },
    { origin: `http://127.0.0.1:${port + 1}` },
    { origin: `https://127.0.0.1:${port}` },
    { origin: `http://${own}` },
    { origin: `${url}/` },
    { origin: `${url}, https://evil.example` },
    { origin: url, 'sec-fetch-site': 'same-site' },
    { origin: url, 'sec-fetch-site': 'cross-site' },
    { origin: url, 'sec-fetch-site': 'none' },
  ];
  for (const headers of refused) {
    for (const method of ['POST', 'DELETE']) {
      const response = await call({ ...JSON_TYPE, ...headers }, method);
      localError(t, response, 403, 'AUTH_ORIGIN_NOT_ALLOWED');
      t.equal(response.headers['access-control-allow-origin'], undefined);
    }
  }
  unasked();
});

t.test('an origin that clients may have, or an allowed host, is not ours', async (t) => {
  const clients = { allowedOrigins: ['https://ui.example'], allowedHosts: ['sidecar.example'] };
  const { call, unasked } = await setUp(t, { clients });
  const allowed = await call({ ...JSON_TYPE, origin: 'https://ui.example' });
  localError(t, allowed, 403, 'AUTH_ORIGIN_NOT_ALLOWED');
  const named = { host: 'sidecar.example', origin: 'http://sidecar.example' };
  localError(t, await call({ ...JSON_TYPE, ...named }), 403, 'AUTH_ROUTE_DENIED');
  unasked();
});

t.test('a name that was pointed here is refused as everywhere', async (t) => {
  const { call, port, unasked } = await setUp(t);
  const host = `evil.example:${port}`;
  const rebound = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
  localError(t, await call({ ...JSON_TYPE, ...rebound }), 403, 'AUTH_HOST_NOT_ALLOWED');
  unasked();
});

t.test('a form cannot say what it takes, and a link does not begin it', async (t) => {
  const { call, url, unasked } = await setUp(t);
  const types = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];
  for (const type of [...types, 'text/plain; application/json', '']) {
    const response = await call({ origin: url, 'content-type': type });
    localError(t, response, 400, 'AUTH_REQUEST_INVALID');
  }
  localError(t, await call({ origin: url }), 400, 'AUTH_REQUEST_INVALID');
  for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS']) {
    const own = { ...JSON_TYPE, origin: url };
    const response = await call(own, method);
    t.equal(response.status, 403, method);
  }
  const followed = await send(url + PATH, { headers: { 'sec-fetch-site': 'none' } });
  localError(t, followed, 403, 'AUTH_ROUTE_DENIED');
  unasked();
});

t.test('behind a proxy the connection says nothing of the person', async (t) => {
  const { call, url, unasked } = await setUp(t);
  const forwarding = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'cf-ray'];
  for (const name of [...PROXY_HEADERS, ...forwarding]) {
    const response = await call({ ...JSON_TYPE, origin: url, [name]: '192.0.2.1' });
    localError(t, response, 403, 'AUTH_ROUTE_DENIED');
  }
  unasked();
});

t.test('a connection from another machine is refused, on loopback too', async (t) => {
  const { call, url, sidecar, unasked } = await setUp(t);
  sidecar.app.server.prependListener('connection', (socket) => {
    Object.defineProperty(socket, 'remoteAddress', { value: '192.0.2.1' });
  });
  localError(t, await call({ ...JSON_TYPE, origin: url }), 403, 'AUTH_ROUTE_DENIED');
  unasked();
});

t.test('a listener that other machines reach offers and begins nothing', async (t) => {
  const tokensFile = join(await makeFolder(t), 'tokens');
  await writeFile(tokensFile, `agent:${'0'.repeat(64)}\n`);
  const { port, unasked } = await setUp(t, {
    listen: { host: '0.0.0.0' },
    clients: { tokensFile },
  });
  const url = `http://127.0.0.1:${port}`;
  const headers = { ...JSON_TYPE, origin: url, 'content-length': 0 };
  const refused = await send(url + PATH, { method: 'POST', headers });
  localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
  const events = await EventStream.open(t, url);
  t.match(await events.next('sign-in'), { offered: false });
  unasked();
});

t.test('a socket serves no browser', async (t) => {
  const socketPath = join(await makeFolder(t), 's');
  const { unasked } = await setUp(t, { listen: { socket: socketPath } });
  const headers = { ...JSON_TYPE, host: 'localhost', origin: 'http://localhost' };
  const response = await new Promise<Answer>((resolve, reject) => {
    const call = request({ socketPath, path: PATH, method: 'POST', headers, agent: false });
    call.once('response', (incoming) => void readAnswer(incoming).then(resolve, reject));
    call.once('error', reject);
    call.end();
  });
  localError(t, response, 403, 'AUTH_ROUTE_DENIED');
  unasked();
});

t.test("with a listener of the operator's own, clients do not see it", async (t) => {
  const { call, url, sidecar, unasked } = await setUp(t, { admin: { listen: { port: 0 } } });
  const operator = sidecar.adminAddress?.url ?? '';
  await untilStatus(operator, ({ status }) => status === 'unauthenticated');
  const refused = await call({ ...JSON_TYPE, origin: url });
  localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
  t.match(refused.text, 'admin.listen');
  unasked();
  const headers = { ...JSON_TYPE, origin: operator, 'content-length': 0 };
  t.equal((await send(operator + PATH, { method: 'POST', headers })).status, 202);
});
