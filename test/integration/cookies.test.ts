import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Certificate, makeCertificate } from '../helpers/certificates.ts';
import { type Answer, send } from '../helpers/exchange.ts';
import {
  FAKE_ACCESS_TOKEN,
  MODELS,
  RESPONSES,
  startSidecarInFrontOf,
  type TestSidecar,
} from '../helpers/sidecar.ts';
import { type HttpUpstream, startUpstream } from '../helpers/upstream.ts';
import { switchingText, tryUpgrade } from '../helpers/websocket.ts';

const SECRET = 'cookie-value-that-is-a-secret';
const SET = `__cf_bm=${SECRET}; Path=/; Secure; HttpOnly; SameSite=None`;
const SENT = `__cf_bm=${SECRET}`;
const NEW_TOKEN = `${FAKE_ACCESS_TOKEN}AAAA`;
const EXPIRED = JSON.stringify({ error: { code: 'token_expired' } });

let tls: Certificate;
t.before(async () => {
  tls = await makeCertificate(t);
});

interface SidecarWithClock extends TestSidecar {
  upstream: HttpUpstream;
}

/** An upstream whose every answer sets `SET` and another cookie. */
async function situate(t: Test, secure = true): Promise<SidecarWithClock> {
  const upstream = await startUpstream(
    t,
    (_request, response) => {
      response.setHeader('set-cookie', [SET, 'session=1; Path=/']).end('ok');
    },
    secure ? tls : null,
  );
  const config = { upstream: { caFile: tls.path } };
  return { upstream, ...(await startSidecarInFrontOf(t, upstream.origin, { config })) };
}

const cookiesOf = (requests: IncomingMessage[]) => requests.map(({ headers }) => headers.cookie);

function keepsThem(t: Test, answer: Answer, { log }: TestSidecar): void {
  t.equal(answer.headers['set-cookie'], undefined);
  t.notMatch(answer.rawHeaders.join(), SECRET);
  t.notMatch(log.join(), SECRET);
}

t.test('set by an answer: sent with requests and upgrades from then on', async (t) => {
  const scene = await situate(t);
  const { upstream, url } = scene;
  keepsThem(t, await send(url + MODELS), scene);
  keepsThem(t, await send(url + MODELS, { headers: { cookie: '__cf_bm=client' } }), scene);
  keepsThem(t, await send(url + RESPONSES, { body: '{}' }), scene);
  const upgrade = tryUpgrade(url + RESPONSES, { cookie: 'session=client' });
  const { request, socket } = await upstream.nextUpgrade();
  socket.write(switchingText(request, `Set-Cookie: ${SET}`));
  keepsThem(t, await upgrade, scene);
  t.strictSame(cookiesOf(upstream.requests), [undefined, SENT, SENT, SENT]);
});

for (const [name, answer] of [
  ['a 101', (request: IncomingMessage) => switchingText(request, `Set-Cookie: ${SET}`)],
  [
    'a refused upgrade',
    () => `HTTP/1.1 426 Upgrade Required\r\nset-cookie: ${SET}\r\ncontent-length: 0\r\n\r\n`,
  ],
] as const) {
  t.test(`set by ${name}`, async (t) => {
    const scene = await situate(t);
    const { upstream, url } = scene;
    const upgrade = tryUpgrade(url + RESPONSES);
    const { request, socket } = await upstream.nextUpgrade();
    socket.end(answer(request));
    keepsThem(t, await upgrade, scene);
    await send(url + MODELS);
    t.strictSame(cookiesOf(upstream.requests), [undefined, SENT]);
  });
}

t.test('set by an answer that is dropped: sent with the request that replaces it', async (t) => {
  const upstream = await startUpstream(
    t,
    (request, response) => {
      const refused = request.headers.authorization !== `Bearer ${NEW_TOKEN}`;
      const tokens = JSON.stringify({ access_token: NEW_TOKEN });
      if (request.url === '/oauth/token') response.end(tokens);
      else if (refused) response.writeHead(401, { 'set-cookie': SET }).end(EXPIRED);
      else response.end('ok');
    },
    tls,
  );
  const oauthTokenUrl = `${upstream.origin}/oauth/token`;
  const config = { upstream: { caFile: tls.path, oauthTokenUrl } };
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, { config });
  const answer = await send(sidecar.url + MODELS);
  t.equal(answer.text, 'ok');
  keepsThem(t, answer, sidecar);
  t.strictSame(cookiesOf(upstream.requests), [undefined, undefined, SENT]);
});

t.test('not over plain http', async (t) => {
  const scene = await situate(t, false);
  for (let i = 0; i < 2; i++) keepsThem(t, await send(scene.url + MODELS), scene);
  t.strictSame(cookiesOf(scene.upstream.requests), [undefined, undefined]);
});

t.test('neither to nor from the upstream of API keys', async (t) => {
  const chatgpt = await situate(t);
  const openai = await situate(t);
  const config = {
    upstream: { caFile: tls.path, openaiBaseUrl: `${openai.upstream.origin}/v1` },
  };
  const { url, codexHome, sidecar } = await startSidecarInFrontOf(t, chatgpt.upstream.origin, {
    config,
  });
  const login = join(codexHome, 'auth.json');
  for (let i = 0; i < 2; i++) await send(url + MODELS);
  await writeFile(login, JSON.stringify({ OPENAI_API_KEY: 'sk-an-api-key' }));
  await sidecar.reload();
  for (let i = 0; i < 2; i++) await send(url + MODELS);
  t.strictSame(cookiesOf(chatgpt.upstream.requests), [undefined, SENT]);
  t.strictSame(cookiesOf(openai.upstream.requests), [undefined, undefined]);
});
