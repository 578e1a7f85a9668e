import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t, { type Test } from 'tap';
import { type Dispatcher, request } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { call, RESPONSES } from '../emulator/client.ts';
import { makeFile, makeFolder, type Program, serve, start } from '../helpers/program.ts';

t.jobs = 2;

const FIRST = 'data: first\n\n';
const LAST = 'data: last\n\n';

interface ServeWithEmulator {
  program: Program;
  url: string;
  server: Server;
  /** The upstream's side of a turn. */
  turn: Promise<ServerResponse>;
}

/** A sidecar before an upstream that begins an answer and goes on when the test does. */
async function startServeWithEmulator(t: Test, limits: object = {}): Promise<ServeWithEmulator> {
  const server = createServer();
  const turn = once(server, 'request').then(([, response]: ServerResponse[]) => {
    response?.write(FIRST);
    return response as ServerResponse;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const config = await makeFile(t, 'config.json', {
    limits,
    upstream: { openaiBaseUrl: `http://127.0.0.1:${port}/v1`, proxy: null },
  });
  const serving = await serve(t, ['--config', config], { CODEX_API_KEY: 'sk-test' });
  return { ...serving, server, turn };
}

/** Begins a turn and waits for the first event. */
async function beginTurn(url: string): Promise<Dispatcher.ResponseData['body']> {
  const { statusCode, body } = await request(url + RESPONSES, { method: 'POST', body: '{}' });
  if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  body.setEncoding('utf8');
  if (!body.readableLength) await once(body, 'readable');
  return body;
}

async function refusesConnections(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends an idle sidecar with 0`, async (t) => {
    const { program, url } = await serve(t);
    t.equal((await call(`${url}/livez`)).status, 200);
    program.kill(signal);
    t.match(await program.ended, { code: 0, signal: null, stderr: '' });
    t.ok(await refusesConnections(url), 'the listener is gone');
  });
}

t.test('an open stream may end; nothing new is taken up meanwhile', async (t) => {
  const { program, url, turn } = await startServeWithEmulator(t);
  const body = await beginTurn(url);
  program.kill('SIGTERM');
  await program.logged('draining');
  const refused = await call(url + RESPONSES, { body: {} });
  t.equal(refused.status, 503);
  t.equal(refused.headers['x-sidecar-error'], 'AUTH_DRAINING');
  t.match(await call(`${url}/readyz`), { status: 503, body: { status: 'draining' } });
  (await turn).end(LAST);
  t.equal(await body.text(), FIRST + LAST);
  t.match(await program.ended, { code: 0, stderr: '' });
  t.ok(await refusesConnections(url), 'the listener is gone');
});

t.test('a second signal does not wait for an open stream', async (t) => {
  const { program, url } = await startServeWithEmulator(t);
  const body = await beginTurn(url);
  program.kill('SIGTERM');
  await program.logged('draining');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 1, stderr: '' });
  await t.rejects(body.text(), 'the stream is cut, not ended');
});

t.test('after the drain an open stream is cut', async (t) => {
  const { program, url, turn } = await startServeWithEmulator(t, { drainSeconds: 0 });
  const body = await beginTurn(url);
  const upstreamClosed = once(await turn, 'close');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  await t.rejects(body.text(), 'the stream is cut, not ended');
  await upstreamClosed;
});

t.test('after the drain an open WebSocket is told to go away', async (t) => {
  const { program, url, server } = await startServeWithEmulator(t, { drainSeconds: 0 });
  const upstream = new WebSocketServer({ server });
  const upstreamClosed = once(upstream, 'connection').then(([socket]) => once(socket, 'close'));
  const client = new WebSocket(url.replace('http', 'ws') + RESPONSES);
  await once(client, 'open');
  const clientClosed = once(client, 'close');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  t.equal((await clientClosed)[0], 1001);
  t.equal((await upstreamClosed)[0], 1001);
});

// With a listener, the process would go on where it failed, without an end.
for (const signal of ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const) {
  t.test(`a crash is not caught: ${signal}`, async (t) => {
    const { program } = await serve(t, [], { CODEX_API_KEY: 'sk-test' });
    program.kill(signal);
    t.equal((await program.ended).signal, signal);
  });
}

t.test('a crash of the emulated backend is not caught either', async (t) => {
  const program = start(t, ['emulator', '--port=0', '--codex-home', await makeFolder(t)]);
  await program.shows('throw-away login');
  program.kill('SIGSEGV');
  t.equal((await program.ended).signal, 'SIGSEGV');
});
