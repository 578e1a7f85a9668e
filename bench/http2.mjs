// Whether HTTP/2 to the upstream would be worth it: undici's dispatcher as the sidecar uses it, against
// one TLS server that speaks both, rounds in turn. `node bench/http2.mjs`; needs openssl.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';

const ROUNDS = 5;
const REQUESTS = 1500;
const CONNECTIONS = 16;
const BODY = Buffer.alloc(38_000, 'x');

const folder = mkdtempSync(join(tmpdir(), 'http2-'));
const [keyFile, certFile] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
execFileSync(
  'openssl',
  ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    .concat(['-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'])
    .concat(['-keyout', keyFile, '-out', certFile]),
  { stdio: 'ignore' },
);
const cert = readFileSync(certFile);
const server = createSecureServer({ allowHTTP1: true, key: readFileSync(keyFile), cert });
server.on('request', (request, response) => {
  request.resume().once('end', () => {
    response.setHeader('x-repeated', ['a', 'b']);
    response.end('{"ok":true}');
  });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `https://localhost:${server.address().port}`;
rmSync(folder, { recursive: true });

/** @returns the list of headers that undici hands on */
function exchange(agent) {
  return new Promise((resolve, reject) => {
    let raw;
    agent.dispatch(
      { origin, path: '/', method: 'POST', headers: ['content-type', 'text/plain'], body: BODY },
      {
        onRequestStart: () => undefined,
        onResponseStart: (controller) => {
          raw = controller.rawHeaders;
        },
        onResponseData: () => undefined,
        onResponseEnd: () => resolve(raw),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

async function perSecond(agent) {
  let left = REQUESTS;
  const begun = performance.now();
  const work = async () => {
    while (left-- > 0) await exchange(agent);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  return REQUESTS / ((performance.now() - begun) / 1000);
}

const settings = { connections: null, pipelining: 1, connect: { ca: cert } };
const agents = {
  'HTTP/1.1': new Agent({ ...settings, allowH2: false }),
  'HTTP/2': new Agent({ ...settings, allowH2: true }),
};
const ratios = [];
for (const [name, agent] of Object.entries(agents)) {
  const raw = await exchange(agent);
  const kind = Array.isArray(raw)
    ? 'a flat list'
    : raw && Object.getPrototypeOf(raw) === null
      ? 'an object'
      : typeof raw;
  process.stdout.write(`${name}: raw headers come as ${kind}\n`);
}
for (let round = 0; round < ROUNDS; round++) {
  const first = await perSecond(agents['HTTP/1.1']);
  const second = await perSecond(agents['HTTP/2']);
  ratios.push(second / first);
  process.stdout.write(`${Math.round(first)} and ${Math.round(second)} requests a second\n`);
}
ratios.sort((a, b) => a - b);
process.stdout.write(
  `HTTP/2 serves ${ratios[ROUNDS >> 1].toFixed(2)} of what HTTP/1.1 does (median)\n`,
);
await Promise.all(Object.values(agents).map((agent) => agent.destroy()));
server.close();
