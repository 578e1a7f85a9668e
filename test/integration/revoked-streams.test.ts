import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { RouteRule } from '../../src/config/resolve.ts';
import type { ExchangeRecord } from '../../src/telemetry/exchange-record.ts';
import { Issued } from '../helpers/certificates.ts';
import { type ClientsFile, headersOf, makeClientsFile } from '../helpers/clients.ts';
import { closeOf, localError, open, readAnswer } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf, type TestSidecar } from '../helpers/sidecar.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { openPair } from '../helpers/websocket.ts';

t.jobs = 4;

const EVENTS = { 'content-type': 'text/event-stream' };

const ANY: RouteRule = { methods: ['*'], path: '/backend-api/*', auth: 'bearer' };
const DENIED: RouteRule = { methods: ['*'], path: RESPONSES, auth: 'deny' };

/** What a reload does with routes that have changed. */
function useRoutes({ live }: TestSidecar['sidecar'], routes: RouteRule[]): void {
  live.apply({ ...live.config, routes }, live.rules.tokens);
}

/** What ends the right of client `a`; `b` keeps its own. */
const ENDS: Record<string, (file: ClientsFile, sidecar: TestSidecar['sidecar']) => unknown> = {
  'the token is removed': (file) => file.write({ b: '' }),
  'the token is removed, and a reload says so': async (file, sidecar) => {
    await file.write({ b: '' });
    await sidecar.reload();
  },
  'another token gets the name': ({ path }) =>
    writeFile(path, `a:${'0'.repeat(64)}\nb:${'1'.repeat(64)}\n`),
  'the token loses the path': (file) => file.write({ a: 'routes=/auth/status', b: '' }),
  'the token has expired, says the file': (file) =>
    file.write({ a: 'expires=2026-01-01T00:00:00Z', b: '' }),
  'a route is denied': (_file, sidecar) => useRoutes(sidecar, [DENIED, ANY]),
  'no route names the path any more': (_file, sidecar) =>
    useRoutes(sidecar, [{ ...ANY, path: '/backend-api/wham/*' }]),
  'the token expires': (file) =>
    file.write({ a: `expires=${new Date(Date.now() + 700).toISOString()}`, b: '' }),
};

/** A stream of `name` that has begun. */
async function openStream(t: Test, name: string, headers: Record<string, string> = EVENTS) {
  const file = await makeClientsFile(t, { a: '', b: '' });
  const upstream = await startUpstream(t);
  const stand = await startSidecarInFrontOf(t, upstream.origin, {
    config: { clients: { tokensFile: file.path } },
  });
  const ended = new Promise<ExchangeRecord>((resolve) => stand.sidecar.exchangeLog.add(resolve));
  const call = open(stand.url + RESPONSES, { method: 'POST', headers: headersOf(name) });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.writeHead(200, headers).write('data: 1\n\n');
  const received = await call.response;
  const chunks: Buffer[] = [];
  received.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  await once(received, 'data');
  /** Everything that has come by the end. */
  const text = async () => {
    if (!received.closed) await once(received, 'close').catch(() => undefined);
    return String(Buffer.concat(chunks));
  };
  /** The same; fails when it ended as if it were whole. */
  const cut = async () => {
    const all = await text();
    t.notOk(received.complete, 'it does not look complete');
    return all;
  };
  return { ...stand, file, response, received, ended, text, cut };
}

for (const [what, end] of Object.entries(ENDS)) {
  t.test(`${what}: an event stream is cut, and the upstream told`, async (t) => {
    const { file, sidecar, response, ended, cut } = await openStream(t, 'a');
    const gone = closeOf(response);
    await end(file, sidecar);
    t.equal(await cut(), 'data: 1\n\n');
    await gone;
    t.match(await ended, { client: 'a', outcome: 'revoked', status: 200 });
  });

  t.test(`${what}: a WebSocket is closed with 1008 on both sides`, async (t) => {
    const file = await makeClientsFile(t, { a: '', b: '' });
    const config = { clients: { tokensFile: file.path } };
    const { client, upstream, sidecar } = await openPair(t, false, config, headersOf('a'));
    const ended = new Promise<ExchangeRecord>((resolve) => sidecar.exchangeLog.add(resolve));
    const question = once(upstream, 'message');
    client.send('question');
    await question;
    const closed = [once(client, 'close'), once(upstream, 'close')];
    await end(file, sidecar);
    for (const close of closed) t.equal((await close)[0], 1008, 'in the middle of a turn, too');
    t.match(await ended, { client: 'a', outcome: 'revoked', status: 101 });
  });
}

t.test('an event that is half sent is let through', async (t) => {
  const { file, response, received, log, cut } = await openStream(t, 'a');
  response.write('data: 2');
  await once(received, 'data');
  const gone = closeOf(response);
  await file.write({ b: '' });
  await logged(log, 'client tokens read again');
  response.write('\n\ndata: 3');
  t.equal(await cut(), 'data: 1\n\ndata: 2\n\n');
  await gone;
});

t.test('an event that is never finished does not keep the stream open', async (t) => {
  const { file, response, cut } = await openStream(t, 'a');
  response.write('data: 2');
  const gone = closeOf(response);
  await file.write({ b: '' });
  t.equal(await cut(), 'data: 1\n\ndata: 2');
  await gone;
});

t.test('a response that is not a stream of events is cut where it is', async (t) => {
  for (const headers of [
    { 'content-type': 'application/json' },
    { ...EVENTS, 'content-encoding': 'gzip' },
  ]) {
    const { file, response, cut } = await openStream(t, 'a', headers);
    const gone = closeOf(response);
    await file.write({ b: '' });
    t.equal(await cut(), 'data: 1\n\n');
    await gone;
  }
});

t.test('a stream that ends by itself in the meantime is whole', async (t) => {
  const { file, response, text, log, ended } = await openStream(t, 'a');
  response.write('data: 2');
  await file.write({ b: '' });
  await logged(log, 'client tokens read again');
  response.end();
  t.equal(await text(), 'data: 1\n\ndata: 2');
  t.match(await ended, { outcome: 'complete' });
});

t.test('a WebSocket is closed when its token is limited to models', async (t) => {
  const file = await makeClientsFile(t, { a: '', b: '' });
  const config = { clients: { tokensFile: file.path } };
  const { client, upstream } = await openPair(t, true, config, headersOf('a'));
  const closed = [once(client, 'close'), once(upstream, 'close')];
  await file.write({ a: 'models=gpt-5.1', b: '' });
  for (const close of closed) t.equal((await close)[0], 1008);
});

t.test('a WebSocket is held to the limits that its token has now', async (t) => {
  const file = await makeClientsFile(t, { a: 'requests=2', b: '' });
  const config = { clients: { tokensFile: file.path } };
  const { client, upstream, log } = await openPair(t, false, config, headersOf('a'));
  const say = async (text: string) => {
    const said = once(upstream, 'message');
    client.send(text);
    return String((await said)[0]);
  };
  t.equal(await say('1'), '1');
  t.equal(await say('2'), '2');
  await file.write({ a: 'requests=3', b: '' });
  await logged(log, 'client tokens read again');
  t.equal(await say('3'), '3');
  const closed = once(client, 'close');
  client.send('4');
  t.equal((await closed)[0], 1008);
});

t.test('a WebSocket that was not read is closed when its token gets a limit', async (t) => {
  const file = await makeClientsFile(t, { a: '' });
  const config = { clients: { tokensFile: file.path }, usage: { enabled: false } };
  const { client, upstream, log } = await openPair(t, false, config, headersOf('a'));
  upstream.on('message', () => upstream.send('answer'));
  client.send('1');
  await once(client, 'message');
  await file.write({ a: 'output-tokens=10' });
  await logged(log, 'client tokens read again');
  const closed = [once(client, 'close'), once(upstream, 'close')];
  client.send('2');
  for (const close of closed) t.equal((await close)[0], 1008);
});

t.test('the streams of the others go on, and so does a token that is only renamed', async (t) => {
  for (const change of [
    { b: '' },
    { b: 'requests=1' },
    { a: 'expires=2026-01-01T00:00:00Z', b: '' },
  ]) {
    const { file, response, text, log } = await openStream(t, 'b');
    await file.write(change as Record<string, string>);
    await logged(log, 'client tokens read again');
    response.end('data: 2\n\n');
    t.equal(await text(), 'data: 1\n\ndata: 2\n\n');
  }
});

t.test('what is open goes on when other routes, methods or ways change', async (t) => {
  for (const routes of [
    [{ ...DENIED, path: '/backend-api/codex/models' }, ANY],
    [{ ...DENIED, methods: ['GET', 'GET+upgrade'] }, ANY],
    [{ ...ANY, auth: 'none' as const }],
  ]) {
    const { sidecar, response, text } = await openStream(t, 'a');
    useRoutes(sidecar, routes);
    response.end('data: 2\n\n');
    t.equal(await text(), 'data: 1\n\ndata: 2\n\n');
  }
});

t.test('where no token is asked for, a stream ends with its route', async (t) => {
  const { client, upstream, sidecar } = await openPair(t);
  const closed = [once(client, 'close'), once(upstream, 'close')];
  useRoutes(sidecar, [DENIED]);
  for (const close of closed) t.equal((await close)[0], 1008);
});

t.test('a request without a response yet gets 401, or 403 for its route', async (t) => {
  const ways = [
    ['AUTH_CLIENT_TOKEN', 401, (file: ClientsFile) => file.write({ b: '' })],
    [
      'AUTH_ROUTE_DENIED',
      403,
      (_file: ClientsFile, sidecar: TestSidecar['sidecar']) => useRoutes(sidecar, [DENIED]),
    ],
  ] as const;
  for (const [code, status, end] of ways) {
    const file = await makeClientsFile(t, { a: '', b: '' });
    const upstream = await startUpstream(t);
    const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, {
      config: { clients: { tokensFile: file.path } },
    });
    const call = open(url + RESPONSES, { method: 'POST', headers: headersOf('a') });
    call.request.end('{}');
    const { response } = await upstream.next();
    const gone = closeOf(response);
    await end(file, sidecar);
    localError(t, await readAnswer(await call.response), status, code);
    await gone;
  }
});

/** Waits until the log has said so. */
async function logged(log: string[], message: string): Promise<void> {
  while (!log.some((line) => line.includes(message))) await new Promise(setImmediate);
}

t.test('a stream of a client certificate ends with its authority', async (t) => {
  const tls = await makeTls(t, ['agent.example', 'other.example']);
  const upstream = await startUpstream(t);
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { listen: { tls: tls.config } },
  });
  const ended = new Promise<ExchangeRecord>((resolve) => sidecar.exchangeLog.add(resolve));
  const call = open(url + RESPONSES, {
    method: 'POST',
    tls: { ...tls.trust, ...tls.client({ names: ['DNS:agent.example'] }) },
  });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.writeHead(200, EVENTS).write('data: 1\n\n');
  const received = await call.response;
  const gone = [closeOf(received), closeOf(response)];
  await writeFile(String(tls.config.clientCaFile), new Issued({ isAuthority: true }).cert);
  await Promise.all(gone);
  t.notOk(received.complete);
  t.match(await ended, { client: 'dns:agent.example', outcome: 'revoked' });
});
