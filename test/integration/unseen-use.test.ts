import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { headersOf, makeClientsFile } from '../helpers/clients.ts';
import { dialTcp, localError, open, readAll, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { openPair, tryUpgrade, upgradeText } from '../helpers/websocket.ts';

t.jobs = 3;

async function start(t: Test, limits: Record<string, string>, more: PartialConfig = {}) {
  const { path } = await makeClientsFile(t, limits);
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { clients: { tokensFile: path }, ...more },
  });
  /** A request that the upstream answers at once. */
  const take = async (name: string, path: string, method: string) => {
    const answer = send(url + path, { method, headers: headersOf(name) });
    void upstream.next().then(({ response }) => response.end('ok'));
    return (await answer).status;
  };
  const ask = (name: string, path: string, method = 'POST') =>
    send(url + path, { method, headers: headersOf(name) });
  return { upstream, url, take, ask };
}

t.test('a WebSocket that cannot be read any more is closed at the next message', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'output-tokens=10', b: 'requests=10' });
  for (const [name, asked] of [
    ['a', ['1']],
    ['b', ['1', '2']],
  ] as const) {
    const config = { clients: { tokensFile: path } };
    const { client, upstream } = await openPair(t, true, config, headersOf(name));
    const seen: string[] = [];
    const answered = new Promise<void>((resolve) => {
      upstream.on('message', (data) => {
        seen.push(String(data));
        // Packed more tightly than anybody unpacks it aside.
        upstream.send(JSON.stringify({ type: 'x', instructions: ' '.repeat(9_000_000) }));
        if (String(data) === '2') resolve();
      });
    });
    client.send('1');
    await once(client, 'message');
    const closed = once(client, 'close');
    client.send('2');
    if (name === 'a') t.equal((await closed)[0], 1008);
    else await answered;
    t.strictSame(seen, asked);
  }
});

t.test('of extensions, a token with a limit of tokens is left only what can be read', async (t) => {
  const { url, upstream } = await start(t, { a: 'output-tokens=10', b: 'requests=10' });
  const offer =
    'x-secret; p="a,b", permessage-deflate; client_max_window_bits, x-webkit-deflate-frame';
  const offered = async (name: string, extensions: string) => {
    const client = await dialTcp(t, Number(new URL(url).port));
    const headers = { ...headersOf(name), 'sec-websocket-extensions': extensions };
    client.write(upgradeText(RESPONSES, headers));
    const { request } = await upstream.nextUpgrade();
    return request.headers['sec-websocket-extensions'];
  };
  t.equal(await offered('a', offer), 'permessage-deflate; client_max_window_bits');
  t.equal(await offered('a', 'Permessage-Deflate'), 'Permessage-Deflate');
  t.equal(await offered('a', 'x-secret'), undefined);
  t.equal(await offered('b', offer), offer);
});

t.test('a response that a limit of tokens has to read comes without codings', async (t) => {
  const { url, upstream } = await start(t, { a: 'output-tokens=10', b: 'requests=10' });
  const asked = { 'accept-encoding': 'gzip' };
  for (const [name, headers, wanted] of [
    ['a', asked, 'identity'],
    ['a', {}, 'identity'],
    ['a', { ...asked, connection: 'accept-encoding' }, 'identity'],
    ['a', { ...asked, Accept_Encoding: 'gzip' }, 'identity'],
    ['b', asked, 'gzip'],
    ['b', {}, undefined],
  ] as const) {
    const answer = send(url + RESPONSES, {
      method: 'POST',
      headers: { ...headersOf(name), ...headers },
    });
    const { request, response } = await upstream.next();
    response.end('ok');
    await answer;
    t.equal(request.headers['accept-encoding'], wanted);
    t.equal(request.headers.accept_encoding, undefined);
  }
});

t.test('a token with a limit of models or tokens starts no tasks', async (t) => {
  const clients = {
    a: 'models=gpt-5.1',
    b: 'input-tokens=9',
    c: 'output-tokens=9',
    d: 'requests=9',
  };
  const { take, ask, upstream } = await start(t, clients);
  for (const name of ['a', 'b', 'c']) {
    for (const path of ['', '/one/turns', '.']) {
      const refused = await ask(name, `/backend-api/wham/tasks${path}`);
      localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
    }
    localError(t, await ask(name, '/backend-api/wham/TASKS'), 403, 'AUTH_ROUTE_DENIED');
    t.equal(await take(name, '/backend-api/wham/tasks/one', 'GET'), 200, 'reads them');
  }
  t.equal(await take('d', '/backend-api/wham/tasks', 'POST'), 200);
  t.equal(upstream.requests.length, 4);
});

t.test('with a limit of models or tokens nothing uses a model unseen', async (t) => {
  const clients = { a: 'models=gpt-5.1', b: 'for=codex output-tokens=9', c: 'streams=9' };
  const { take, ask, url, upstream } = await start(t, clients);
  const unseen = [
    'images/generations',
    'alpha/search',
    'realtime/calls',
    'memories/x',
    'responses/x',
  ];
  for (const name of ['a', 'b']) {
    for (const path of unseen) {
      const refused = await ask(name, `/backend-api/codex/${path}`);
      localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
      t.match(refused.text, /may send responses and compactions only/);
    }
    for (const path of ['codex/analytics-events/events', 'wham/usage', 'ps/mcp', 'files']) {
      t.equal(await take(name, `/backend-api/${path}`, 'POST'), 200, path);
    }
  }
  const call = await tryUpgrade(`${url}/backend-api/codex/realtime/calls`, headersOf('b'));
  localError(t, call, 403, 'AUTH_ROUTE_DENIED');
  const before = upstream.requests.length;
  for (const path of unseen) {
    t.equal(await take('c', `/backend-api/codex/${path}`, 'POST'), 200);
  }
  t.equal(upstream.requests.length, before + unseen.length);
});

t.test('what the backend has made by itself and kept is not fetched unseen', async (t) => {
  const clients = { a: 'models=gpt-5.1', b: 'for=codex output-tokens=9', c: 'streams=1' };
  const { take, ask, url, upstream } = await start(t, clients);
  const stored = '/backend-api/codex/responses/resp_1';
  for (const name of ['a', 'b']) {
    for (const path of [stored, `${stored}?stream=true`, `${stored}/input_items`]) {
      localError(t, await ask(name, path, 'GET'), 403, 'AUTH_ROUTE_DENIED');
    }
  }
  const first = open(`${url}${stored}?stream=true`, { headers: headersOf('c') });
  first.request.end();
  const { response } = await upstream.next();
  t.equal((await ask('c', stored, 'GET')).status, 429, 'it counts as a stream');
  t.equal(await take('c', '/backend-api/codex/models', 'GET'), 200);
  response.end();
  await readAll(await first.response);
});

t.test('no spelling that a backend may read as one of these escapes a limit', async (t) => {
  const routes = [{ methods: ['*'], path: '/backend-api/*', auth: 'bearer' as const }];
  const clients = { m: 'models=gpt-5.1', t: 'input-tokens=9', s: 'streams=1' };
  const { ask, url, upstream } = await start(t, clients, { routes });
  for (const path of [
    'Codex/images/generations',
    'codex./images/generations',
    'codex%20/images/generations',
    'wham./tasks',
    'wHAm/tasks/one',
    'conversation',
  ]) {
    for (const name of ['m', 't']) {
      localError(t, await ask(name, `/backend-api/${path}`), 403, 'AUTH_ROUTE_DENIED');
    }
  }
  const spelled = ['Codex/responses', 'codex/responses.', 'codex./RESPONSES%20'];
  for (const path of spelled) {
    const answer = await send(`${url}/backend-api/${path}`, {
      headers: headersOf('m'),
      body: '{}',
    });
    localError(t, answer, 400, 'AUTH_MODEL_DENIED');
  }
  const first = open(`${url}/backend-api/codex./responses`, {
    method: 'POST',
    headers: headersOf('s'),
  });
  first.request.end();
  const { response } = await upstream.next();
  for (const path of [...spelled, 'Codex/images']) {
    t.equal((await ask('s', `/backend-api/${path}`)).status, 429);
  }
  response.end();
  await readAll(await first.response);
});
