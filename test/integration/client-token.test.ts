import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { localError, send } from '../helpers/exchange.ts';
import { MODELS, makeFolder, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const TOKEN = 'right-token';

async function start(t: Test, limits = '') {
  const tokensFile = join(await makeFolder(t), 'tokens');
  const digest = createHash('sha256').update(TOKEN).digest('hex');
  await writeFile(tokensFile, `client:${digest}${limits}\n`);
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
  const config = { clients: { tokensFile } };
  return { upstream, ...(await startSidecarInFrontOf(t, upstream.origin, { config })) };
}

const GOOD = [{ authorization: `Bearer ${TOKEN}` }, { 'x-sidecar-token': TOKEN }];
const BAD = [
  {},
  { authorization: `Bearer ${TOKEN}x` },
  { authorization: TOKEN },
  { 'x-sidecar-token': 'wrong', authorization: `Bearer ${TOKEN}` },
];

t.test('the right client token opens the proxy, and goes no further', async (t) => {
  const { upstream, url } = await start(t);
  for (const headers of GOOD) t.equal((await send(url + MODELS, { headers })).text, 'ok');
  const dialling = tryUpgrade(url + RESPONSES, GOOD[0]);
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  t.equal((await dialling).status, 426);
  t.equal(upstream.requests.length, 3);
  for (const { rawHeaders } of upstream.requests) t.notMatch(rawHeaders.join(' '), TOKEN);
});

t.test('a missing or wrong one is a 401', async (t) => {
  const { upstream, url } = await start(t);
  for (const headers of BAD) {
    const answers = [
      await send(url + MODELS, { headers }),
      await send(`${url}/unknown`, { headers }),
      await tryUpgrade(url + RESPONSES, headers as Record<string, string>),
    ];
    for (const answer of answers) localError(t, answer, 401, 'AUTH_CLIENT_TOKEN');
  }
  t.equal(upstream.connections, 0);
});

t.test('the probes need none from this machine, but the right host', async (t) => {
  const { url } = await start(t);
  for (const path of ['/auth/status', '/livez', '/readyz']) {
    t.notOk((await send(url + path)).headers['x-sidecar-error']);
    const headers = { host: 'evil.example' };
    localError(t, await send(url + path, { headers }), 403, 'AUTH_HOST_NOT_ALLOWED');
  }
});

t.test('from another machine the status needs one too, life and readiness do not', async (t) => {
  const { url, sidecar } = await start(t);
  await untilStatus(url, ({ status }) => status === 'ready');
  const ask = (path: string, headers = {}) =>
    sidecar.app.inject({ url: path, headers, remoteAddress: '192.0.2.1' });
  t.equal((await ask('/auth/status')).headers['x-sidecar-error'], 'AUTH_CLIENT_TOKEN');
  t.equal((await ask('/auth/status', GOOD[0])).statusCode, 200);
  for (const path of ['/livez', '/readyz']) t.equal((await ask(path)).statusCode, 200);
});

t.test('an expired token is a 401 that says so, on HTTP and on an upgrade', async (t) => {
  const { upstream, url } = await start(t, ' expires=2020-01-31T00:00:00Z');
  for (const headers of GOOD) {
    for (const answer of [
      await send(url + MODELS, { headers }),
      await send(`${url}/auth/reload`, { method: 'POST', headers }),
      await tryUpgrade(url + RESPONSES, headers as Record<string, string>),
    ]) {
      localError(t, answer, 401, 'AUTH_CLIENT_TOKEN');
      t.match(answer.text, '"client\\" expired at 2020-01-31T00:00:00.000Z; make a new one');
      t.notMatch(answer.text, TOKEN);
    }
  }
  t.equal(upstream.connections, 0);
});

t.test('a path outside the routes of the token is a 403, on HTTP and on an upgrade', async (t) => {
  const { upstream, url } = await start(t, ` routes=${MODELS}`);
  const headers = { 'x-sidecar-token': TOKEN };
  t.equal((await send(url + MODELS, { headers })).text, 'ok');
  for (const answer of [
    await send(url + RESPONSES, { method: 'POST', headers }),
    await send(`${url}${MODELS}/x`, { headers }),
    await send(`${url}/unknown`, { headers }),
    await send(`${url}/auth/reload`, { method: 'POST', headers }),
    await tryUpgrade(url + RESPONSES, headers),
  ]) {
    localError(t, answer, 403, 'AUTH_ROUTE_DENIED');
    t.match(answer.text, 'the client token \\"client\\" is not allowed on this path');
  }
  t.equal(upstream.requests.length, 1);
});
