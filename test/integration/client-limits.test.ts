import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { nextDayAt } from '../../src/clients/daily-tokens.ts';
import { headersOf, makeClientsFile } from '../helpers/clients.ts';
import { type Answer, localError, open, readAll, send } from '../helpers/exchange.ts';
import {
  MODELS,
  makeFolder,
  RESPONSES,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
  startTestSidecar,
} from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { openPair, tryUpgrade } from '../helpers/websocket.ts';

t.jobs = 3;

async function start(t: Test, limits: Record<string, string>) {
  const { path } = await makeClientsFile(t, limits);
  const upstream = await startUpstream(t);
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { clients: { tokensFile: path } },
  });
  /** A request that the upstream answers at once. */
  const take = async (name: string, path: string, method: string) => {
    const answer = send(url + path, { method, headers: headersOf(name) });
    void upstream.next().then(({ response }) => response.end('ok'));
    return (await answer).status;
  };
  const ask = (name: string, path = RESPONSES, method = 'POST') =>
    send(url + path, { method, headers: headersOf(name) });
  const upgrade = (name: string) => tryUpgrade(url + RESPONSES, headersOf(name));
  return { upstream, url, sidecar, take, ask, upgrade };
}

/** A 429 whose message Codex shows at once. */
function shown(t: Test, answer: Answer, message: RegExp, resetsAt: number | null): void {
  t.equal(answer.status, 429);
  t.equal(answer.headers['x-sidecar-error'], 'AUTH_CLIENT_LIMIT');
  const { error } = JSON.parse(answer.text);
  const { resets_at: resets = null, ...rest } = error;
  t.match(rest, { type: 'usage_limit_reached', code: 'AUTH_CLIENT_LIMIT', message });
  t.equal(resets, resetsAt);
  t.equal(answer.headers['x-codex-promo-message'], error.message);
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/);
}

t.test('requests a minute: the next one is told how long to wait', async (t) => {
  const { take, ask, upgrade, upstream } = await start(t, { a: 'requests=2', b: '' });
  t.equal(await take('a', MODELS, 'GET'), 200);
  t.equal(await take('a', RESPONSES, 'POST'), 200);
  for (const answer of [await ask('a'), await ask('a', MODELS, 'GET'), await upgrade('a')]) {
    localError(t, answer, 429, 'AUTH_CLIENT_LIMIT');
    t.match(answer.text, /the client token \\"a\\" may send 2 requests a minute/);
    const wait = Number(answer.headers['retry-after']);
    t.ok(wait > 50 && wait <= 61, `${wait}`);
    t.equal(answer.headers['x-codex-promo-message'], undefined);
  }
  t.equal(await take('b', RESPONSES, 'POST'), 200, 'others have limits of their own');
  t.equal(upstream.requests.length, 3, 'nothing that was refused went upstream');
});

t.test('what the routes deny does not count', async (t) => {
  const { take, ask } = await start(t, { a: 'requests=1' });
  for (const path of ['/backend-api/me', '/backend-api/a%2fb', '/nowhere']) {
    t.not((await ask('a', path, 'GET')).status, 429);
  }
  t.equal(await take('a', MODELS, 'GET'), 200);
});

t.test('streams at once: a further one is refused until one ends', async (t) => {
  const { url, ask, take, upgrade, upstream } = await start(t, { a: 'streams=1' });
  const first = open(url + RESPONSES, { method: 'POST', headers: headersOf('a') });
  first.request.end('{}');
  const { response } = await upstream.next();
  for (const answer of [await ask('a'), await upgrade('a')]) {
    shown(t, answer, /^The client token "a" may have 1 open at once/, null);
  }
  t.equal(await take('a', MODELS, 'GET'), 200, 'not a stream');
  response.end('done');
  t.equal(String(await readAll(await first.response)), 'done');
  t.equal(await take('a', RESPONSES, 'POST'), 200);
});

t.test('a WebSocket is a stream until it is closed', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'streams=1' });
  const config = { clients: { tokensFile: path } };
  const { client, url, sidecar } = await openPair(t, false, config, headersOf('a'));
  const ask = () => tryUpgrade(url + RESPONSES, headersOf('a'));
  t.equal((await ask()).status, 429);
  const ended = new Promise((resolve) => sidecar.exchangeLog.add(resolve));
  // The refused upgrade is over already.
  client.close();
  await ended;
  t.equal((await ask()).status, 101);
});

t.test('tokens a day: refused until midnight in UTC, what costs none passes', async (t) => {
  const { take, ask, upgrade, sidecar } = await start(t, {
    a: 'input-tokens=1000',
    b: 'output-tokens=50',
  });
  sidecar.counters.addTokens('a', { input: 999, output: 5000 }, Date.now());
  t.equal(await take('a', RESPONSES, 'POST'), 200);
  sidecar.counters.addTokens('a', { input: 1, output: 0 }, Date.now());
  sidecar.counters.addTokens('b', { input: 5000, output: 50 }, Date.now());
  const midnight = nextDayAt(Date.now()) / 1000;
  const message = /^The client token "a" has used its 1000 input tokens of today \(UTC\)/;
  shown(t, await ask('a'), message, midnight);
  shown(t, await upgrade('a'), message, midnight);
  shown(t, await ask('b'), /has used its 50 output tokens of today/, midnight);
  t.equal(await take('a', MODELS, 'GET'), 200);
});

t.test('messages on a WebSocket count as requests, the first one with the upgrade', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'requests=3' });
  const config = { clients: { tokensFile: path } };
  const { client, upstream } = await openPair(t, true, config, headersOf('a'));
  const seen: string[] = [];
  upstream.on('message', (data) => {
    seen.push(String(data));
    upstream.send(`answer to ${data}`);
  });
  for (const question of ['1', '2', '3']) {
    client.send(question);
    t.equal(String((await once(client, 'message'))[0]), `answer to ${question}`);
  }
  const closed = [once(client, 'close'), once(upstream, 'close')];
  client.send('4');
  for (const close of closed) t.equal((await close)[0], 1008);
  t.strictSame(seen, ['1', '2', '3']);
});

t.test('a WebSocket is closed at the message after the last token of the day', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'output-tokens=10' });
  const config = { clients: { tokensFile: path } };
  const pair = await openPair(t, false, config, headersOf('a'));
  const { client, upstream, sidecar } = pair;
  const first = once(upstream, 'message');
  client.send('question');
  await first;
  sidecar.counters.addTokens('a', { input: 1, output: 10 }, Date.now());
  upstream.send('the turn ends');
  t.equal(String((await once(client, 'message'))[0]), 'the turn ends');
  const closed = [once(client, 'close'), once(upstream, 'close')];
  client.send('another question');
  for (const close of closed) t.equal((await close)[0], 1008);
});

t.test(
  'a WebSocket that waited until the tokens were used up sends no first message',
  async (t) => {
    const { path } = await makeClientsFile(t, { a: 'output-tokens=10' });
    const config = { clients: { tokensFile: path } };
    const { client, upstream, sidecar } = await openPair(t, false, config, headersOf('a'));
    const asked: string[] = [];
    upstream.on('message', (data) => asked.push(String(data)));
    sidecar.counters.addTokens('a', { input: 1, output: 10 }, Date.now());
    const closed = [once(client, 'close'), once(upstream, 'close')];
    client.send('question');
    for (const close of closed) t.equal((await close)[0], 1008);
    t.strictSame(asked, []);
  },
);

t.test('what a compressed message has told counts for the very next message', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'output-tokens=10' });
  const config = { clients: { tokensFile: path } };
  const { client, upstream, extensions } = await openPair(t, true, config, headersOf('a'));
  t.match(extensions, /^permessage-deflate/);
  const asked: string[] = [];
  upstream.on('message', (data) => asked.push(String(data)));
  client.send('question');
  await once(upstream, 'message');
  const usage = { input_tokens: 1, output_tokens: 10 };
  // Small messages are not compressed.
  const response = { instructions: 'word '.repeat(1_000), usage };
  upstream.send(JSON.stringify({ type: 'response.completed', response }));
  await once(client, 'message');
  const closed = [once(client, 'close'), once(upstream, 'close')];
  client.send('another question');
  for (const close of closed) t.equal((await close)[0], 1008);
  t.strictSame(asked, ['question']);
});

t.test('a token with a limit of models is sent to HTTP', async (t) => {
  const { upgrade, upstream } = await start(t, { a: 'models=gpt-5.1' });
  const answer = await upgrade('a');
  localError(t, answer, 426, 'AUTH_HTTP_ONLY');
  t.equal(answer.headers.upgrade, 'HTTP/1.1');
  t.equal(upstream.requests.length, 0);
});

t.test('real turns use the tokens up, and a restart remembers them', async (t) => {
  const { path } = await makeClientsFile(t, { a: 'output-tokens=20' });
  const file = join(await makeFolder(t), 'counters');
  // Reading is switched off, which no limit of tokens may be.
  const config = { clients: { tokensFile: path }, usage: { enabled: false, file } };
  const first = await startSidecarWithEmulator(t, { config });
  const ask = (url: string) =>
    send(url + RESPONSES, { headers: headersOf('a'), body: '{"model":"m","input":"hi"}' });
  // The emulated backend says 12 output tokens a turn.
  t.equal((await ask(first.url)).status, 200);
  t.equal((await ask(first.url)).status, 200);
  shown(t, await ask(first.url), /20 output tokens/, nextDayAt(Date.now()) / 1000);
  await first.sidecar.stop();
  const { emulator, codexHome } = first;
  const upstream = { ...emulator.upstream, proxy: null };
  const second = await startTestSidecar(t, { codexHome, config: { ...config, upstream } });
  t.equal((await ask(second.url)).status, 429);
  await t.rejects(startTestSidecar(t, { codexHome, config: { ...config, upstream } }), {
    message: `usage.file: ${file} is in use by another sidecar; name another file`,
  });
});
