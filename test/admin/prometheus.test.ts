import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { identityToken, login, loginWithIdentity } from '../helpers/credentials.ts';
import { localError, open, send, sendRaw } from '../helpers/exchange.ts';
import { Records } from '../helpers/exchange-record.ts';
import { Scrape } from '../helpers/prometheus.ts';
import {
  MODELS,
  makeFolder,
  RESPONSES,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';

const P = 'codex_auth_sidecar_';

t.test('requests count by kind, method and class of status, with bytes and times', async (t) => {
  const { url, port, sidecar } = await startSidecarWithEmulator(t, {
    credential: loginWithIdentity,
  });
  const records = new Records(sidecar);
  await send(url + RESPONSES, { method: 'POST', body: '{}' });
  await sendRaw(t, port, `BREW ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await send(`${url}/elsewhere`, { method: 'PROPFIND' });
  await send(`${url}/backend-api/wham/remote/control/x`);
  await records.nth(4);
  const scrape = await Scrape.of(url);
  const requests = `${P}requests_total`;
  t.equal(scrape.value(requests, { kind: 'assertion', method: 'POST', status: '2xx' }), 1);
  t.equal(scrape.value(requests, { kind: 'unmatched', method: 'other' }), 2, 'folded');
  t.equal(scrape.value(requests, { kind: 'deny', method: 'GET', status: '4xx' }), 1);
  t.notMatch(scrape.text, /PROPFIND|BREW/);
  t.equal(scrape.value(`${P}errors_total`, { code: 'AUTH_ROUTE_DENIED' }), 2);
  t.equal(scrape.value(`${P}received_bytes_total`, { kind: 'assertion' }), 2);
  t.ok(scrape.value(`${P}sent_bytes_total`, { kind: 'assertion' }) > 100);
  for (const name of [`${P}time_to_first_byte_seconds`, `${P}added_latency_seconds`]) {
    const buckets = scrape.buckets(name, 'assertion');
    t.strictSame(buckets.at(-1), ['+Inf', 1]);
    t.match(scrape.text, `${name}_count{kind="assertion"} 1`);
    const counts = buckets.map(([, count]) => count);
    t.strictSame(counts, counts.toSorted(), 'buckets are cumulative');
    t.strictSame(buckets[0]?.[1], 0);
  }
});

t.test('what happens to the credential counts', async (t) => {
  const stack = await startSidecarWithEmulator(t, { credential: loginWithIdentity });
  const { url, emulator } = stack;
  await untilStatus(url, ({ status }) => status === 'ready');
  await send(url + RESPONSES, { method: 'POST', body: '{}' });
  let scrape = await Scrape.of(url);
  const registered = { outcome: 'registered' };
  t.equal(scrape.value(`${P}registrations_total`, { what: 'agent', ...registered }), 1);
  t.equal(scrape.value(`${P}registrations_total`, { what: 'task', ...registered }), 1);
  t.equal(scrape.value(`${P}registrations_total`, { outcome: 'failed' }), 0);
  t.ok(scrape.value(`${P}assertions_total`) >= 1);
  t.equal(scrape.value(`${P}rejections_total`), 0);

  const { agent_identity } = JSON.parse(await readFile(join(stack.codexHome, 'auth.json'), 'utf8'));
  emulator.revokeTask(agent_identity.task_id);
  emulator.expireAccessTokens();
  await send(url + RESPONSES, { method: 'POST', body: '{}' });
  await send(url + MODELS);
  scrape = await Scrape.of(url);
  t.equal(scrape.value(`${P}rejections_total`, { class: 'task' }), 1);
  t.equal(scrape.value(`${P}rejections_total`, { class: 'bearer' }), 1);
  t.equal(scrape.value(`${P}registrations_total`, { what: 'task', ...registered }), 2);
  t.equal(scrape.value(`${P}refreshes_total`, { outcome: 'refreshed' }), 1);
});

t.test('the state shows as gauges', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: login });
  const status = await untilStatus(url, ({ status }) => status === 'ready');
  await send(url + MODELS);
  const scrape = await Scrape.of(url);
  t.equal(scrape.value(`${P}status`, { status: 'ready' }), 1);
  t.equal(scrape.value(`${P}status`), 1, 'one state at a time');
  const expiry = Date.parse(status.bearer.expiresAt ?? '') / 1000;
  t.equal(scrape.value(`${P}credential_expiry_timestamp_seconds`), expiry);
  t.ok(Math.abs(scrape.value(`${P}clock_skew_seconds`)) < 60);
  t.equal(scrape.value(`${P}build_info`, { version: status.version }), 1);
  t.ok(scrape.value('process_resident_memory_bytes') > 1e6);
  t.ok(scrape.value('process_cpu_seconds_total') > 0);
  t.ok(Math.abs(scrape.value('process_start_time_seconds') - Date.now() / 1000) < 3600);
});

t.test('what is not known has no value', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: identityToken });
  await untilStatus(url, ({ status }) => status === 'ready');
  t.notMatch((await Scrape.of(url)).text, /^codex_auth_sidecar_credential_expiry/m);
});

t.test('open exchanges, and how they end', async (t) => {
  const stack = await startSidecarWithEmulator(t);
  const records = new Records(stack.sidecar);
  const client = new WebSocket(`${stack.url.replace('http', 'ws')}${RESPONSES}`);
  await once(client, 'open');
  const active = { transport: 'websocket' };
  t.equal((await Scrape.of(stack.url)).value(`${P}active_exchanges`, active), 1);
  client.terminate();
  await records.nth(2);
  const scrape = await Scrape.of(stack.url);
  t.equal(scrape.value(`${P}active_exchanges`), 0);
  t.equal(scrape.value(`${P}requests_total`, { kind: 'assertion', status: '1xx' }), 1);
  t.ok(scrape.value(`${P}sent_bytes_total`, { kind: 'own' }) > 0);
});

t.test('clients that leave, upstreams that break off and challenges count apart', async (t) => {
  const upstream = await startUpstream(t);
  const { url, sidecar } = await startSidecarInFrontOf(t, upstream.origin);
  const records = new Records(sidecar);
  const left = open(url + MODELS);
  left.request.end();
  await upstream.next();
  left.request.destroy();
  await records.nth(1);
  const cut = open(url + MODELS);
  cut.request.end();
  const { response } = await upstream.next();
  response.write('begun');
  (await cut.response).on('error', () => undefined);
  response.destroy();
  await records.nth(2);
  const challenged = send(url + MODELS);
  (await upstream.next()).response.writeHead(403, { 'cf-mitigated': 'challenge' }).end();
  await challenged;
  const scrape = await Scrape.of(url);
  t.equal(scrape.value(`${P}interrupted_total`, { by: 'clientGone' }), 1);
  t.equal(scrape.value(`${P}interrupted_total`, { by: 'upstreamCut' }), 1);
  t.equal(scrape.value(`${P}cloudflare_challenges_total`), 1);
  t.equal(scrape.value(`${P}requests_total`, { kind: 'bearer', status: 'none' }), 1);
});

t.test('clients count by the name of their token', async (t) => {
  const digest = createHash('sha256').update('token-of-the-client').digest('hex');
  const tokensFile = join(await makeFolder(t), 'tokens');
  await writeFile(tokensFile, `agent-1:${digest}\n`);
  const { url } = await startSidecarWithEmulator(t, { config: { clients: { tokensFile } } });
  await send(url + MODELS, { headers: { authorization: 'Bearer token-of-the-client' } });
  await send(url + MODELS, { headers: { authorization: 'Bearer made up' } });
  const scrape = await Scrape.of(url);
  t.equal(scrape.value(`${P}client_requests_total`, { client: 'agent-1' }), 1);
  t.equal(scrape.value(`${P}client_requests_total`), 1);
});

t.test('each sidecar counts for itself', async (t) => {
  const [one, two] = [await startSidecarWithEmulator(t), await startSidecarWithEmulator(t)];
  await send(one.url + MODELS);
  t.equal((await Scrape.of(one.url)).value(`${P}requests_total`, { kind: 'bearer' }), 1);
  t.notMatch((await Scrape.of(two.url)).text, /kind="bearer"/);
});

t.test('names follow the conventions', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const answer = await send(`${url}/metrics`);
  t.equal(answer.status, 200);
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  t.equal(answer.headers['cache-control'], 'no-store');
  for (const { name, type } of new Scrape(answer.text).families) {
    t.match(name, /^(codex_auth_sidecar|process|nodejs)_[a-z_]+$/);
    t.equal(name.endsWith('_total'), type === 'COUNTER', name);
  }
});

t.test('switched off, the path is as unknown as any other', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { config: { metrics: { enabled: false } } });
  localError(t, await send(`${url}/metrics`), 403, 'AUTH_ROUTE_DENIED');
});
