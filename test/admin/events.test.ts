import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { MAX_LISTENERS } from '../../src/admin/events.ts';
import { login, nothing } from '../helpers/credentials.ts';
import { EventStream } from '../helpers/event-stream.ts';
import { localError, open, send } from '../helpers/exchange.ts';
import { MODELS, startSidecarInFrontOf, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { readStatus, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.test('whoever connects learns account, status and activity at once', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: login });
  await untilStatus(url, ({ status }) => status === 'ready');
  const events = await EventStream.open(t, url);
  t.equal(events.response.statusCode, 200);
  t.match(events.response.headers['content-type'], /^text\/event-stream/);
  t.equal(events.response.headers['cache-control'], 'no-store');
  t.strictSame(await events.next('account/updated'), { authMode: 'chatgpt', planType: 'pro' });
  const { uptimeSeconds, ...status } = await events.next('auth/status');
  const { uptimeSeconds: _, ...expected } = await readStatus(url);
  t.strictSame(status, expected, 'the JSON of /auth/status');
  t.match(await events.next('activity'), { connections: { http: 0, websocket: 0 }, recent: {} });
});

t.test('without a credential both halves of the account are null', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: nothing });
  await untilStatus(url, ({ status }) => status === 'unauthenticated');
  const events = await EventStream.open(t, url);
  t.strictSame(await events.next('account/updated'), { authMode: null, planType: null });
});

t.test('a login, another one and a logout are told, each once', async (t) => {
  const { url, emulator, codexHome } = await startSidecarWithEmulator(t, { credential: nothing });
  await untilStatus(url, ({ status }) => status === 'unauthenticated');
  const events = await EventStream.open(t, url);
  await events.next('account/updated');
  const path = join(codexHome, 'auth.json');
  const login = { planType: 'plus', accountId: 'account-of-both', userId: 'user-of-both' };
  const store = () => writeFile(path, JSON.stringify(emulator.issueLogin(login).authJson));
  await store();
  t.strictSame(await events.next('account/updated', ({ planType }) => planType !== null), {
    authMode: 'chatgpt',
    planType: 'plus',
  });
  await events.next('auth/status', ({ status }) => status === 'ready');
  await store();
  t.match(await events.next('account/updated'), { planType: 'plus' }, 'of the same account');
  await rm(path);
  t.match(await events.next('account/updated'), { authMode: null });
  await events.next('auth/status', ({ status }) => status === 'unauthenticated');
});

t.test('traffic moves the activity and not the status', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: login });
  await untilStatus(url, ({ status }) => status === 'ready');
  const events = await EventStream.open(t, url);
  await events.next('activity');
  await send(url + MODELS);
  await send(`${url}/backend-api/wham/remote/control/x`);
  const { recent } = await events.next('activity', ({ requests }) => requests.denied === 1);
  t.match(recent.byKind, { bearer: { '2xx': 1 }, deny: { '4xx': 1 } });
  t.match(recent.refusals[0], {
    method: 'GET',
    path: '/backend-api/wham/remote/control/x',
    status: 403,
    code: 'AUTH_ROUTE_DENIED',
    count: 1,
  });
  t.equal(events.text.match(/event: auth\/status/g)?.length, 1);
});

t.test('a drain ends the streams and does not wait for them', async (t) => {
  const { url, sidecar } = await startSidecarWithEmulator(t, {
    config: { limits: { drainSeconds: 3600 } },
  });
  const events = await EventStream.open(t, url);
  await events.next('activity');
  const { connections } = await readStatus(url);
  t.strictSame(connections, { http: 0, websocket: 0 }, 'no proxied exchange');
  const drained = sidecar.drain();
  await events.next('auth/status', ({ status }) => status === 'draining');
  await events.ended;
  t.ok(events.response.complete, 'a proper end');
  await drained;
  localError(t, await send(`${url}/auth/events`), 503, 'AUTH_DRAINING');
  await sidecar.stop();
});

t.test('the number of listeners is bounded, and a place becomes free again', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const streams = await Promise.all(
    Array.from({ length: MAX_LISTENERS }, () => EventStream.open(t, url)),
  );
  const refused = await send(`${url}/auth/events`);
  localError(t, refused, 503, 'AUTH_EVENTS_BUSY');
  t.match(refused.headers['retry-after'], /^\d+$/);
  streams[0]?.request.destroy();
  for (;;) {
    const { request, response } = open(`${url}/auth/events`);
    request.end();
    const { statusCode } = await response;
    request.destroy();
    if (statusCode === 200) break;
  }
});

t.test('it is open to this machine as the status is, and a HEAD does not hang', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = { host: 'evil.example' };
  localError(t, await send(`${url}/auth/events`, { headers }), 403, 'AUTH_HOST_NOT_ALLOWED');
  t.equal((await send(`${url}/auth/events`, { method: 'HEAD' })).status, 403);
});
