import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startTcpUpstream } from '../helpers/upstream.ts';

const KIB = 1024;
const TIMES = 10;

/** Refuses as soon as a head has come, and closes the connection without reading on. */
function refuse(socket: Socket | TLSSocket): void {
  socket.once('data', () => {
    socket.pause();
    const head = 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\nconnection: close\r\n\r\n';
    socket.write(`${head}refused`, () => socket.destroy());
  });
}

async function startRefusing(t: Test, isTls: boolean) {
  if (!isTls) return { origin: (await startTcpUpstream(t, refuse)).origin, caFile: null };
  const { key, cert, path } = await makeCertificate(t);
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on('error', () => undefined);
    refuse(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, caFile: path };
}

for (const isTls of [false, true]) {
  for (const size of [38 * KIB, 600 * KIB, 4096 * KIB]) {
    for (const framing of ['declared', 'chunked']) {
      const name = `${isTls ? 'TLS' : 'plain'}, ${framing}, ${size / KIB} KiB`;
      t.test(`a refusal by the head reaches the client: ${name}`, async (t) => {
        const { origin, caFile } = await startRefusing(t, isTls);
        const { url } = await startSidecarInFrontOf(t, origin, {
          env: { CODEX_API_KEY: 'sk-of-this-test' },
          config: { upstream: { caFile } },
        });
        const body = Buffer.alloc(size, 'x');
        const headers = framing === 'chunked' ? { 'transfer-encoding': 'chunked' } : {};
        for (let i = 0; i < TIMES; i++) {
          const { status, text } = await send(url + RESPONSES, { method: 'POST', headers, body });
          t.equal(`${status} ${text}`, '401 refused');
        }
      });
    }
  }
}
