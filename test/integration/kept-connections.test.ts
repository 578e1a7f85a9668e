import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const KIB = 1024;
const REQUESTS = 8;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const UPSTREAMS: Record<string, Handler> = {
  'answers when it has read all': (request, response) => {
    request.resume().once('end', () => response.end('{}'));
  },
  'refuses at the head, and reads on': (request, response) => {
    response.writeHead(413).end('{}');
    request.resume();
  },
};

/** A larger body may still be on its way from the client; then the connection has to be closed. */
const REFUSED_AT_ONCE = 38 * KIB;

for (const isTls of [true, false]) {
  for (const [what, handler] of Object.entries(UPSTREAMS)) {
    for (const size of [0.2 * KIB, 38 * KIB, 300 * KIB, 900 * KIB]) {
      if (what.startsWith('refuses') && size > REFUSED_AT_ONCE) continue;
      for (const framing of ['declared', 'chunked']) {
        const name = `${isTls ? 'TLS' : 'plain'}, ${framing}, ${size / KIB} KiB: an upstream that ${what}`;
        t.test(`${name} keeps one connection`, async (t) => {
          const tls = isTls ? await makeCertificate(t) : null;
          const upstream = await startUpstream(t, handler, tls);
          const { url } = await startSidecarInFrontOf(t, upstream.origin, {
            config: { upstream: { caFile: tls?.path ?? null, readyConnections: 0 } },
          });
          const body = Buffer.alloc(size, 'x');
          const headers = framing === 'chunked' ? { 'transfer-encoding': 'chunked' } : {};
          for (let i = 0; i < REQUESTS; i++) {
            const { status } = await send(url + RESPONSES, { method: 'POST', headers, body });
            t.ok(status === 200 || status === 413);
          }
          t.equal(upstream.requests.length, REQUESTS);
          t.equal(upstream.connections, 1);
        });
      }
    }
  }
}
