import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { startScriptedUpstream, whenWhole } from '../helpers/scripted-upstream.ts';
import {
  ask,
  MODELS,
  RESPONSES,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
} from '../helpers/sidecar-with-clock.ts';

const refuse = { 'content-type': 'application/json' };
const REFUSAL = '{"detail":"Unauthorized"}';

/** An upstream that refuses every odd request, once its body is there. */
const refuseFirst = (t: Test) =>
  startScriptedUpstream(t, (request, response, seen) =>
    whenWhole(request, () => {
      response.writeHead(seen % 2 === 0 ? 401 : 200, refuse);
      response.end(seen % 2 === 0 ? REFUSAL : 'fine');
    }),
  );

const post = (scene: SidecarWithClock, body: Buffer) =>
  ask(scene.url + RESPONSES, { method: 'POST', body });

/** A request that the test sends in parts. */
function openRequest(scene: SidecarWithClock, headers: Record<string, string | number> = {}) {
  const request = httpRequest(scene.url + RESPONSES, { method: 'POST', headers, agent: false });
  request.on('error', () => undefined);
  const answer = once(request, 'response').then(async ([response]: IncomingMessage[]) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response ?? []) chunks.push(chunk as Buffer);
    return { status: response?.statusCode, text: Buffer.concat(chunks).toString() };
  });
  return { request, answer };
}

t.test('the body of a replay is the same, byte by byte', async (t) => {
  const upstream = await refuseFirst(t);
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  const sent = randomBytes(300_000);
  t.equal((await post(scene, sent)).text, 'fine');
  t.strictSame(
    upstream.whole.map(({ body }) => body.equals(sent)),
    [true, true],
  );
  const [first, second] = upstream.whole.map(({ authorization }) => authorization);
  t.not(first, second, 'with the new token');
  t.equal(second, `Bearer ${scene.home.field('tokens', 'access_token')}`);
});

t.test('a chunked body that comes slowly', async (t) => {
  const upstream = await refuseFirst(t);
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  const { request, answer } = openRequest(scene);
  request.write('one ');
  await until(() => upstream.arrivals.length === 1);
  request.end('two');
  t.strictSame(await answer, { status: 200, text: 'fine' });
  t.strictSame(
    upstream.whole.map(({ body }) => body.toString()),
    ['one two', 'one two'],
  );
});

t.test('a body that is refused before it has come: the replay has all of it', async (t) => {
  const upstream = await startScriptedUpstream(t, (request, response, seen) => {
    if (seen === 0) response.writeHead(401, refuse).end(REFUSAL);
    else whenWhole(request, () => response.writeHead(200).end('fine'));
  });
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  const { request, answer } = openRequest(scene, { 'content-length': 8 });
  const before = scene.home.text();
  request.write('one ');
  await until(() => scene.home.text() !== before);
  await until(async () => (await scene.status()).bearer.state === 'valid');
  request.end('more');
  t.strictSame(await answer, { status: 200, text: 'fine' });
  t.equal(upstream.whole.at(-1)?.body.toString(), 'one more');
});

t.test('a body larger than limits.replayBytes passes its 401 on', async (t) => {
  const upstream = await refuseFirst(t);
  const config = { limits: { replayBytes: 1000, replayTotalBytes: 4000 } };
  const scene = await startSidecarWithClock(t, { origin: upstream.origin, config });
  const answer = await post(scene, Buffer.alloc(1001));
  t.equal(answer.status, 401);
  t.equal(answer.text, REFUSAL);
  t.equal(upstream.arrivals.length, 1);
  await until(() => scene.count(TOKEN) === 1);
  t.pass('the next request gets a new token all the same');
});

t.test('every way out gives the kept bytes back', async (t) => {
  const upstream = await startScriptedUpstream(t, (request, response) => {
    const way = request.headers['x-way'];
    if (way === 'hang') return;
    if (way === 'reset') request.socket.destroy();
    else if (way === 'early') response.writeHead(200).end('early');
    else if (way === 'cut')
      response.writeHead(401, { 'content-length': 99 }).write('{', () => request.socket.destroy());
    else whenWhole(request, () => response.writeHead(Number(way)).end('x'));
  });
  const config = { limits: { replayBytes: 1000, replayTotalBytes: 1000, bodyBytes: 2000 } };
  const scene = await startSidecarWithClock(t, { origin: upstream.origin, config });
  const body = Buffer.alloc(900);
  for (const way of ['200', '401', '403', '500', 'reset', 'early', 'cut']) {
    await ask(scene.url + RESPONSES, { method: 'POST', body, headers: { 'x-way': way } }).catch(
      () => undefined,
    );
  }
  t.equal((await post(scene, Buffer.alloc(2001))).code, 'AUTH_BODY_TOO_LARGE');
  const gone = openRequest(scene, { 'x-way': 'hang', 'content-length': 900 });
  const arrived = upstream.arrivals.length;
  gone.request.end(body);
  await until(() => upstream.arrivals.length > arrived);
  gone.request.destroy();
  await gone.answer.catch(() => undefined);
  await until(async () => (await scene.status()).connections.http === 0);
  const before = upstream.arrivals.length;
  scene.time.advance(60_000);
  await ask(scene.url + RESPONSES, { method: 'POST', body, headers: { 'x-way': '401' } });
  t.equal(upstream.arrivals.length - before, 2, 'there is room for a replay');
});

for (const method of ['GET', 'HEAD']) {
  t.test(`a refused ${method} is sent again`, async (t) => {
    const upstream = await refuseFirst(t);
    const scene = await startSidecarWithClock(t, { origin: upstream.origin });
    const answer = await ask(scene.url + MODELS, { method });
    t.equal(answer.status, 200);
    t.equal(upstream.arrivals.length, 2);
  });
}

t.test('a 401 of more than 64 KiB passes through whole', async (t) => {
  const text = 'x'.repeat(200_000);
  const upstream = await startScriptedUpstream(t, (_request, response) => {
    response.writeHead(401, { 'x-mine': 'kept' }).end(text);
  });
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  const answer = await ask(scene.url + MODELS);
  t.equal(answer.status, 401);
  t.equal(answer.headers.get('x-mine'), 'kept');
  t.equal(answer.text, text);
  t.equal(upstream.arrivals.length, 1);
});

t.test('a 401 that breaks off breaks off for the client too', async (t) => {
  const upstream = await startScriptedUpstream(t, (request, response) => {
    response.writeHead(401, { 'content-length': 99 });
    response.write('{"det', () => request.socket.destroy());
  });
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  await t.rejects(ask(scene.url + MODELS));
  t.equal(upstream.arrivals.length, 1);
  t.equal((await ask(`${scene.url}/livez`)).status, 200);
});

t.test('a client that leaves while the token is renewed costs no replay', async (t) => {
  const upstream = await refuseFirst(t);
  const scene = await startSidecarWithClock(t, { origin: upstream.origin });
  scene.emulator.addFault({ path: TOKEN, delayMs: 300 });
  const leaving = new AbortController();
  const asked = ask(scene.url + MODELS, { signal: leaving.signal });
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  leaving.abort();
  await t.rejects(asked);
  await until(async () => (await scene.status()).connections.http === 0);
  await scene.emulator.waitFor(({ path, complete }) => path === TOKEN && complete);
  await until(async () => (await scene.status()).bearer.state === 'valid');
  t.equal(upstream.arrivals.length, 1);
  t.equal((await ask(scene.url + MODELS)).status, 200, 'the new token serves the next request');
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
