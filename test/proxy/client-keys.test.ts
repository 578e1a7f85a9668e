import t from 'tap';
import { queryWithoutKeys, subprotocolsWithoutKeys } from '../../src/proxy/client-keys.ts';
import { upstreamHeaders } from '../../src/proxy/headers.ts';
import { dialTcp, readUntil, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';

const KEY = 'key-of-the-client';

// OpenAI's own and those of Azure, Google, Anthropic, LiteLLM, gateways, GitLab, AWS, Vault.
const HEADERS = [
  ...['x-api-key', 'api-key', 'apikey', 'X-ApiKey', 'x_api_key', 'x-goog-api-key'],
  ...['x-litellm-api-key', 'x-portkey-api-key', 'Ocp-Apim-Subscription-Key', 'anthropic-api-key'],
  ...['x-auth-token', 'x-access-token', 'token', 'private-token', 'x-amz-security-token'],
  ...['x-vault-token', 'helicone-auth', 'x-authorization', 'x-auth-key', 'x-client-secret'],
  ...['x-functions-key', 'x-master-key', 'x-api-secret-key', 'authentication', 'x-credentials'],
  ...['x-jwt-assertion', 'openai-organization-id', 'x-openai-project', 'x-goog-user-project'],
];

for (const name of HEADERS) {
  t.test(`every header that carries a key of the client stays here: ${name}`, async (t) => {
    t.strictSame(upstreamHeaders([name, KEY, 'accept', '*/*'], null), ['accept', '*/*']);
  });
}

const QUERIES: [given: string, sent: string][] = [
  [`?api_key=${KEY}`, ''],
  [`?a=1&API-KEY=${KEY}&b=2`, '?a=1&b=2'],
  [`?a=1&access_token=${KEY}`, '?a=1'],
  [`?%61pi_key=${KEY}&a=1`, '?a=1'],
  [`?a=1;key=${KEY}`, '?a=1'],
  [`?a=1&key[]=${KEY}&+api_key=${KEY}`, '?a=1'],
  [`?openai-organization=${KEY}&openai-project=${KEY}`, ''],
];

for (const [given, sent] of QUERIES) {
  t.test(`every parameter that carries a key of the client stays here: ${given}`, async (t) => {
    t.equal(queryWithoutKeys(given), sent);
  });
}

t.test('a query without keys stays as it is', async (t) => {
  const queries = ['', '?', '?&&', '?client_version=0.171.0', '?token=next&page_token=3&keys=1'];
  for (const query of [...queries, '?a=%zz&b=%2e+%2E/..//&=&?', '?a=api_key=x', '?;a;;b']) {
    t.equal(queryWithoutKeys(query), query);
  }
});

const SUBPROTOCOLS: [given: string, sent: string | null][] = [
  [
    `realtime, openai-insecure-api-key.${KEY}, openai-beta.realtime-v1`,
    'realtime, openai-beta.realtime-v1',
  ],
  [`openai-organization.${KEY},realtime`, 'realtime'],
  [`OpenAI-Project.${KEY}`, null],
  [`a, bearer, ${KEY}`, 'a'],
  [`access_token, ${KEY}, b`, 'b'],
  [`base64url.bearer.authorization.k8s.io.${KEY}, v4.channel.k8s.io`, 'v4.channel.k8s.io'],
  ['graphql-ws, eyJhbGciOiJub25lIn0.eyJhIjoxfQ.', 'graphql-ws'],
  ['a,b , realtime', 'a,b , realtime'],
];

for (const [given, sent] of SUBPROTOCOLS) {
  t.test(`every subprotocol that carries a key of the client stays here: ${given}`, async (t) => {
    t.equal(subprotocolsWithoutKeys(given), sent);
  });
}

t.test('nothing of it arrives, over HTTP or with an upgrade', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end());
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const headers = Object.fromEntries(HEADERS.map((name) => [name, KEY]));
  await send(`${url}${RESPONSES}?a=1&api_key=${KEY}`, { method: 'POST', headers });
  const client = await dialTcp(t, port);
  const protocols = { 'sec-websocket-protocol': `realtime, openai-insecure-api-key.${KEY}` };
  client.write(upgradeText(`${RESPONSES}?api_key=${KEY}`, { ...headers, ...protocols }));
  const { request, socket } = await upstream.nextUpgrade();
  t.equal(request.headers['sec-websocket-protocol'], 'realtime');
  socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
  t.match(await readUntil(client, '\r\n'), /^HTTP\/1.1 403 /);
  t.equal(upstream.requests.length, 2);
  for (const { rawHeaders, url: target } of upstream.requests) {
    t.notMatch([target, ...rawHeaders].join('\n'), KEY);
  }
});
