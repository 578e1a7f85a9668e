import t from 'tap';
import { dialTcp, readUntil, send } from '../helpers/exchange.ts';
import { FAKE_ACCESS_TOKEN, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream, wireHeaders } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

const INJECTED = [
  ...['authorization', `Bearer ${FAKE_ACCESS_TOKEN}`],
  ...['chatgpt-account-id', 'account-of-the-sidecar'],
];

const OF_THE_CLIENT: Record<string, string> = {
  authorization: 'Bearer of-the-client',
  'x-openai-agent-assertion': 'of-the-client',
  'chatgpt-account-id': 'of-the-client',
  'x-openai-fedramp': 'true',
  'x-openai-actor-authorization': 'of-the-client',
  'x-openai-account-routing-override': 'of-the-client',
  'openai-organization': 'of-the-client',
  'openai-project': 'of-the-client',
  cookie: 'a=of-the-client',
  'proxy-authorization': 'Basic of-the-client',
  forwarded: 'for=of-the-client',
  'x-forwarded-for': 'of-the-client',
  'x-forwarded-proto': 'of-the-client',
  'x-real-ip': 'of-the-client',
  via: '1.1 of-the-client',
  'cf-connecting-ip': 'of-the-client',
  'cf-ray': 'of-the-client',
  'true-client-ip': 'of-the-client',
  'keep-alive': 'timeout=5',
  te: 'trailers',
  trailer: 'x-checksum',
  'proxy-connection': 'keep-alive',
  'x-named-by-connection': 'of-the-client',
};

t.test('nothing that a client may not send arrives', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end());
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = { ...OF_THE_CLIENT, connection: 'x-named-by-connection, keep-alive' };
  await send(url + RESPONSES, { method: 'POST', headers });
  const [request] = upstream.requests;
  t.ok(request);
  if (!request) return;
  t.strictSame(wireHeaders(request, 'host', 'connection', 'content-length'), INJECTED);
  t.equal(request.headers.host, new URL(upstream.origin).host);
});

t.test('nor on an upgrade', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = { ...OF_THE_CLIENT, connection: 'Upgrade, x-named-by-connection' };
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES, { ...headers, 'x-sidecar-token': 'of-the-client' }));
  const { request, socket } = await upstream.nextUpgrade();
  t.strictSame(wireHeaders(request, 'host', 'connection', 'upgrade'), [
    ...['sec-websocket-version', '13', 'sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ...INJECTED,
  ]);
  socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
  t.match(await readUntil(client, '\r\n'), /^HTTP\/1.1 403 /);
});

t.test('the rest arrives in its order, spelling and repetition', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end());
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = [
    ...['User-Agent', 'codex_exec/0.169.0 (Linux)', 'originator', 'codex_exec'],
    ...['version', '0.169.0', 'OpenAI-Beta', 'responses_websockets=2026-02-06'],
    ...['Session-Id', 's', 'thread-id', 't', 'X-Client-Request-Id', 'r'],
    ...['X-Codex-Turn-State', 'a', 'accept', 'text/event-stream', 'x-codex-turn-state', 'b'],
    ...['x-codex-turn-metadata', '{"a":"\u00fc"}', 'content-type', 'application/json'],
  ];
  await send(url + RESPONSES, { method: 'POST', headers: ['Host', 'localhost', ...headers] });
  const [request] = upstream.requests;
  t.ok(request);
  if (!request) return;
  const sent = wireHeaders(request, 'host', 'connection', 'transfer-encoding', 'content-length');
  t.strictSame(sent, [...headers, ...INJECTED]);
});
