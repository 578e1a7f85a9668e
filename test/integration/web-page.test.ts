import t, { type Test } from 'tap';
import { localError, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

/** What a browser sends for a page of the sidecar itself, and for pages of others. */
const OWN = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' };
const OTHERS = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' },
  { origin: 'null', 'sec-fetch-site': 'cross-site' },
  { origin: 'https://evil.example' },
];

async function start(t: Test) {
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
  return { upstream, ...(await startSidecarInFrontOf(t, upstream.origin)) };
}

t.test('the own page reads the status', async (t) => {
  const { url } = await start(t);
  t.equal(
    (await send(`${url}/auth/status`, { headers: OWN })).headers['x-sidecar-error'],
    undefined,
  );
});

t.test('the own page gets nothing that is proxied and cannot reload', async (t) => {
  const { upstream, url } = await start(t);
  for (const answer of [
    await send(url + MODELS, { headers: OWN }),
    await send(url + RESPONSES, { method: 'POST', headers: OWN }),
    await tryUpgrade(url + RESPONSES, OWN),
    await send(`${url}/auth/reload`, { method: 'POST', headers: OWN }),
    await send(`${url}/unknown`, { headers: OWN }),
  ]) {
    localError(t, answer, 403, 'AUTH_ORIGIN_NOT_ALLOWED');
  }
  t.equal(upstream.connections, 0);
});

t.test('no other page gets anything', async (t) => {
  const { upstream, url } = await start(t);
  for (const headers of OTHERS) {
    for (const path of ['/auth/status', '/livez', '/readyz', MODELS, '/unknown']) {
      localError(t, await send(url + path, { headers }), 403, 'AUTH_ORIGIN_NOT_ALLOWED');
    }
    for (const path of [RESPONSES, '/auth/reload']) {
      const answer = await send(url + path, { method: 'POST', headers });
      localError(t, answer, 403, 'AUTH_ORIGIN_NOT_ALLOWED');
    }
    localError(t, await tryUpgrade(url + RESPONSES, headers), 403, 'AUTH_ORIGIN_NOT_ALLOWED');
  }
  t.equal(upstream.connections, 0);
});

t.test('a page whose name was pointed at this machine is not the own one', async (t) => {
  const { url } = await start(t);
  const headers = { ...OWN, host: 'evil.example' };
  localError(t, await send(`${url}/auth/status`, { headers }), 403, 'AUTH_HOST_NOT_ALLOWED');
});

t.test('no CORS header is added, and no preflight is answered', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
  const origin = 'https://ui.example';
  const config = { clients: { allowedOrigins: [origin] } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const preflight = { origin, 'access-control-request-method': 'POST' };
  const answers = [
    await send(url + MODELS, { headers: { origin } }),
    await send(`${url}/auth/status`, { headers: { origin } }),
    await send(`${url}/auth/status`, { method: 'OPTIONS', headers: preflight }),
    await send(`${url}/auth/reload`, { method: 'OPTIONS', headers: preflight }),
    await send(url + MODELS, { headers: { origin: 'https://evil.example' } }),
  ];
  t.equal(answers[0]?.text, 'ok', 'an allowed origin may call');
  for (const { rawHeaders } of answers) t.notMatch(rawHeaders.join('\n'), /^access-control-/im);
});
