import t from 'tap';
import { send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf, startTestSidecar } from '../helpers/sidecar.ts';
import { startUpstream, wireHeaders } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const NAMES = [
  ['POST', '/v1/responses', RESPONSES],
  ['POST', '/v1/responses/compact', `${RESPONSES}/compact`],
  ['GET', '/v1/models', MODELS],
] as const;

for (const [method, name, path] of NAMES) {
  t.test(`${name} is another name for ${path}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const headers = { authorization: 'Bearer of-the-client', 'content-type': 'application/json' };
    const body = method === 'POST' ? '{"model":"m"}' : undefined;
    for (const asked of [name, path]) {
      const response = await send(`${url}${asked}?a=1`, {
        method,
        headers,
        ...(body ? { body } : {}),
      });
      t.match(response, { status: 200, text: 'ok' });
    }
    const [first, second] = upstream.requests;
    t.equal(first?.url, `${path}?a=1`);
    t.equal(second?.url, `${path}?a=1`);
    if (first && second) t.strictSame(wireHeaders(first), wireHeaders(second));
  });
}

t.test('so is it for an upgrade', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const dialling = tryUpgrade(`${url}/v1/responses`);
  const { request, socket } = await upstream.nextUpgrade();
  t.equal(request.url, RESPONSES);
  socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  t.equal((await dialling).status, 426);
});

t.test("the operator's rules for a route hold under every name", async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
  const routes = [
    { methods: ['*'], path: MODELS, auth: 'deny' },
    { methods: ['POST'], path: RESPONSES, auth: 'bearer' },
  ];
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config: { routes } });
  for (const path of [MODELS, '/v1/models', '/v1/responses/compact']) {
    t.equal((await send(url + path)).status, 403, path);
  }
  t.equal((await send(`${url}/v1/responses`, { method: 'POST', body: '{}' })).status, 200);
  t.strictSame(
    upstream.requests.map((request) => request.url),
    [RESPONSES],
  );
});

const COMPLETIONS = /Responses API, not Chat Completions: have the client use \/v1\/responses/;
const BASE = /base URL ends in \/backend-api\/codex for Codex, and in \/v1 for other clients/;
const WRONG: [path: string, words: RegExp][] = [
  ['/v1/chat/completions', COMPLETIONS],
  ['/chat/completions', COMPLETIONS],
  ['/v1/completions', COMPLETIONS],
  ['/backend-api/chat/completions', COMPLETIONS],
  ['/responses', BASE],
  ['/responses/compact', BASE],
  ['/models', BASE],
  ['/v1/v1/responses', BASE],
  ['/codex/responses', BASE],
  ['/api/codex/usage', BASE],
  ['/backend-api/responses', BASE],
  ['/wham/usage', /chatgpt_base_url of Codex ends in \/backend-api/],
  ['/v1/embeddings', /of \/v1 only responses, responses\/compact and models are served/],
];

t.test('the refusal of a wrong base names the right one', async (t) => {
  const { url } = await startTestSidecar(t, {});
  for (const [path, words] of WRONG) {
    const { status, text } = await send(url + path, { method: 'POST', body: '{}' });
    t.equal(status, 403, path);
    t.match(text, words, path);
  }
  for (const path of ['/nowhere', '/', '/backend-api/me', '/v2/x']) {
    const { text } = await send(url + path);
    t.match(text, /no such path is served"|only the operator can add one"/, path);
  }
});
