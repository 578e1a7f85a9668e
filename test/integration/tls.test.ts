import t, { type Test } from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { type Answer, localError, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { type HttpUpstream, startUpstream } from '../helpers/upstream.ts';
import { upgradeHeaders } from '../helpers/websocket.ts';

interface Situation {
  upstream: HttpUpstream;
  get(): Promise<Answer>;
  upgrade(): Promise<Answer>;
}

/** A TLS upstream with the given certificate, and a sidecar that trusts the given file. */
async function situate(
  t: Test,
  tls: { key: string; cert: string },
  caFile: string | null,
): Promise<Situation> {
  const upstream = await startUpstream(t, (_request, response) => response.end('reached'), tls);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { upstream: { caFile } },
  });
  return {
    upstream,
    get: () => send(url + MODELS),
    upgrade: () => send(url + RESPONSES, { headers: upgradeHeaders() }),
  };
}

async function refusesBoth(t: Test, { upstream, get, upgrade }: Situation, reason: string) {
  for (const answer of [await get(), await upgrade()]) {
    localError(t, answer, 502, 'UPSTREAM_TLS');
    t.match(answer.text, reason);
  }
  t.equal(upstream.connections, 2, 'both were tried');
  t.strictSame(upstream.requests, [], 'and neither sent a request');
}

t.test('an upstream with an unknown certificate gets nothing', async (t) => {
  const tls = await makeCertificate(t);
  await refusesBoth(t, await situate(t, tls, null), 'DEPTH_ZERO_SELF_SIGNED_CERT');
});

t.test('an upstream with the certificate of another host gets nothing', async (t) => {
  const tls = await makeCertificate(t, { name: 'DNS:elsewhere.example' });
  await refusesBoth(t, await situate(t, tls, tls.path), 'ERR_TLS_CERT_ALTNAME_INVALID');
});

t.test('an upstream with an expired certificate gets nothing', async (t) => {
  const tls = await makeCertificate(t, { expired: true });
  await refusesBoth(t, await situate(t, tls, tls.path), 'CERT_HAS_EXPIRED');
});

t.test('a certificate of upstream.caFile is trusted', async (t) => {
  const tls = await makeCertificate(t);
  const { upstream, get, upgrade } = await situate(t, tls, tls.path);
  t.equal((await get()).text, 'reached');
  const pending = upgrade();
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n');
  t.equal((await pending).status, 429);
});

t.test('registration and JWKS go through the same check', async (t) => {
  const tls = await makeCertificate(t);
  const upstream = await startUpstream(t, (_request, response) => response.end(), tls);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { agentIdentity: { policy: 'chatgptAuth' } },
  });
  t.equal((await send(`${url}/readyz`)).status, 503);
  await send(url + RESPONSES, { method: 'POST' });
  t.ok(upstream.connections > 0);
  t.strictSame(upstream.requests, []);
});
