import t from 'tap';
import { FaultBook } from '../../src/emulator/faults.ts';
import type { Emulator, Fault } from '../../src/emulator/index.ts';
import { bearerHeaders, dial, RESPONSES, readEvents, start, turn } from './client.ts';

const CREATE = { type: 'response.create', input: [] };

async function infer(emulator: Emulator, signal?: AbortSignal): Promise<Response> {
  return fetch(emulator.url + RESPONSES, {
    method: 'POST',
    body: '{}',
    headers: { ...bearerHeaders(emulator.issueLogin()), 'content-type': 'application/json' },
    ...(signal ? { signal } : {}),
  });
}

/** Code, or else message, of what undici says was wrong with the connection. */
async function reasonOf(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => null,
    (failure: unknown) => failure,
  );
  const cause = error instanceof Error ? error.cause : null;
  if (!(cause instanceof Error)) return 'no failure';
  return 'code' in cause && cause.code !== undefined ? String(cause.code) : cause.message;
}

t.test('picks by method, path, kind and count', async (t) => {
  const book = new FaultBook();
  book.add({ path: '/a', method: 'post', upgrade: false, times: 2 });
  book.add({ path: '/b/*', times: 0 });
  t.equal(book.take('GET', '/a', false), null);
  t.equal(book.take('POST', '/a', true), null);
  t.equal(book.take('POST', '/a/b', false), null);
  t.ok(book.take('POST', '/a', false));
  t.ok(book.take('POST', '/a', false));
  t.equal(book.take('POST', '/a', false), null, 'used up');
  t.ok(book.take('GET', '/b/x', false));
  t.ok(book.take('GET', '/b/x', true), 'forever');
  book.clear();
  t.equal(book.take('GET', '/b/x', false), null);
});

t.test('answers with a status, headers and a body, once', async (t) => {
  const emulator = await start(t);
  const headers = { 'Retry-After': '3', 'set-cookie': 'a=b' };
  emulator.addFault({ path: RESPONSES, status: 429, headers, body: { error: 'slow' } });
  const first = await infer(emulator);
  t.equal(first.status, 429);
  t.equal(first.headers.get('retry-after'), '3');
  t.same(await first.json(), { error: 'slow' });
  t.equal((await infer(emulator)).status, 200);
});

t.test('adds headers to the true answer, and delays it', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: RESPONSES, headers: { 'x-extra': '1' }, delayMs: 1, pieceDelayMs: 1 });
  const response = await infer(emulator);
  t.equal(response.headers.get('x-extra'), '1');
  t.equal(readEvents(await response.text()).length, 9);
});

const broken: [NonNullable<Fault['action']>, RegExp][] = [
  ['reset', /^ECONNRESET$/],
  ['empty', /^UND_ERR_SOCKET$/],
  ['garbage', /^HPE_|HTTP\/1\.1 protocol/],
];
for (const [action, code] of broken) {
  t.test(`${action}: there is no answer`, async (t) => {
    const emulator = await start(t);
    emulator.addFault({ path: RESPONSES, action });
    t.match(await reasonOf(infer(emulator)), code);
    t.match(emulator.records, [{ status: null, complete: false, aborted: false }]);
  });
}

t.test('hang: the client gives up', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: RESPONSES, action: 'hang' });
  const giveUp = new AbortController();
  const attempt = t.rejects(infer(emulator, giveUp.signal), { name: 'AbortError' });
  await emulator.waitFor(({ bodyBytes }) => bodyBytes === 2);
  giveUp.abort();
  await attempt;
  t.match(await emulator.waitFor(({ aborted }) => aborted), { status: null, complete: false });
});

t.test('cut: half the answer, then the connection is gone', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: RESPONSES, action: 'cut' });
  emulator.addFault({ path: RESPONSES, action: 'cut', status: 500, body: 'x'.repeat(100) });
  const stream = await infer(emulator);
  t.equal(stream.status, 200);
  await t.rejects(stream.text());
  const whole = await infer(emulator);
  t.equal(whole.status, 500);
  t.equal(whole.headers.get('content-length'), '100');
  await t.rejects(whole.text());
  t.match(emulator.records, [
    { status: 200, complete: false, aborted: false },
    { status: 500, complete: false, aborted: false },
  ]);
});

t.test('stall: half the answer, until the client goes away', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: RESPONSES, action: 'stall' });
  const response = await infer(emulator);
  const reader = response.body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  t.match(Buffer.from(value ?? []).toString(), /response\.created/);
  await reader?.cancel();
  t.match(await emulator.waitFor(({ aborted }) => aborted), { status: 200, complete: false });
});

t.test('refuses an upgrade, and leaves plain requests alone', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  emulator.addFault({ path: RESPONSES, upgrade: true, status: 426, times: 0 });
  await t.rejects(dial(emulator, headers), { message: 'status 426' });
  t.equal((await infer(emulator)).status, 200);
  t.match(emulator.records[0], { transport: 'websocket', status: 426, complete: true });
});

t.test('closes a WebSocket after its first frame', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  emulator.addFault({ path: RESPONSES, upgrade: true, action: 'close-after-first-frame' });
  const socket = await dial(emulator, headers);
  await t.rejects(turn(socket, CREATE), { message: 'closed with 1008' });
});

t.test('cuts a WebSocket in the middle of a turn', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  emulator.addFault({ path: RESPONSES, upgrade: true, action: 'cut' });
  const socket = await dial(emulator, headers);
  await t.rejects(turn(socket, CREATE), { message: 'closed with 1006' });
  const record = await emulator.waitFor(({ status }) => status === 101);
  t.match(record, { complete: false, aborted: false });
});

t.test('resets an upgrade', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: RESPONSES, action: 'reset' });
  await t.rejects(dial(emulator, {}), { code: 'ECONNRESET' });
});
