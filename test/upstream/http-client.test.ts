import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import * as zlib from 'node:zlib';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { transportCode } from '../../src/upstream/failure-text.ts';
import {
  CallError,
  createHttpClient,
  type HttpClient,
  wasNeverSent,
} from '../../src/upstream/http-client.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { startRecordingServer } from '../helpers/recording-server.ts';
import { closedPort, startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

const { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } = zlib;

function client(t: Test): HttpClient {
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  return createHttpClient(agent, 'codex-auth-sidecar/test');
}

const limits = { timeoutMs: 60_000, maxBytes: 1024 };

t.test('a GET sends path and query, no body and no content type', async (t) => {
  const server = await startRecordingServer(t, {});
  await client(t)({ method: 'GET', url: `${server.url}/a/b?c=d&e`, ...limits });
  t.strictSame(server.requests, [
    {
      method: 'GET',
      path: '/a/b?c=d&e',
      headers: {
        host: new URL(server.url).host,
        connection: 'keep-alive',
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'codex-auth-sidecar/test',
      },
      body: '',
    },
  ]);
});

t.test('a POST sends its body as JSON, and its own headers', async (t) => {
  const server = await startRecordingServer(t, {});
  const headers = { authorization: 'Bearer token' };
  const body = { b: 'ä', a: null };
  await client(t)({ method: 'POST', url: `${server.url}/a`, headers, body, ...limits });
  const [request] = server.requests;
  t.equal(request?.method, 'POST');
  t.equal(request?.body, '{"b":"ä","a":null}');
  t.equal(request?.headers['content-type'], 'application/json');
  t.equal(request?.headers.authorization, 'Bearer token');
  t.equal(request?.headers['user-agent'], 'codex-auth-sidecar/test');
});

t.test('the answer comes with status, headers and text', async (t) => {
  const headers = { 'x-request-id': 'request-1' };
  const server = await startRecordingServer(t, { status: 418, headers, body: 'tea: ä' });
  const response = await client(t)({ method: 'GET', url: server.url, ...limits });
  t.equal(response.status, 418);
  t.equal(response.headers['x-request-id'], 'request-1');
  t.equal(response.text, 'tea: ä');
});

t.test('characters that are split between two chunks are read whole', async (t) => {
  // Far more than one read of the socket, whose size is no multiple of the three bytes of each.
  const body = '☃'.repeat(200_000);
  const server = await startRecordingServer(t, { body });
  const request = { method: 'GET', url: server.url, ...limits, maxBytes: 600_000 } as const;
  t.ok((await client(t)(request)).text === body);
});

t.test('a redirect is handed back and not followed', async (t) => {
  const target = await startRecordingServer(t, {});
  const server = await startRecordingServer(t, { status: 302, headers: { location: target.url } });
  const response = await client(t)({ method: 'GET', url: server.url, ...limits });
  t.equal(response.status, 302);
  t.strictSame(target.requests, []);
});

t.test('an answer of exactly the limit is read', async (t) => {
  const server = await startRecordingServer(t, { body: 'a'.repeat(1024) });
  const response = await client(t)({ method: 'GET', url: server.url, ...limits });
  t.equal(response.text.length, 1024);
});

t.test('an answer above the limit is refused with its status', async (t) => {
  const server = await startRecordingServer(t, { status: 201, body: 'a'.repeat(1025) });
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits }), {
    code: 'RESPONSE_TOO_LARGE',
    message: 'the response is larger than 1024 bytes',
    partial: { status: 201 },
  });
});

t.test('the limit counts bytes, not characters', async (t) => {
  const server = await startRecordingServer(t, { body: 'ä'.repeat(513) });
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits }), {
    code: 'RESPONSE_TOO_LARGE',
  });
});

t.test('an answer without an end is cut off at the limit', async (t) => {
  const server = await startRecordingServer(t, 'half an answer');
  const request = { method: 'GET', url: server.url, ...limits, maxBytes: 4 } as const;
  await t.rejects(client(t)(request), { code: 'RESPONSE_TOO_LARGE' });
});

t.test('a server that never answers is left at the timeout', async (t) => {
  const server = await startRecordingServer(t, 'silence');
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits, timeoutMs: 20 }), {
    code: 'ETIMEDOUT',
  });
});

t.test('an answer that stops half-way is left at the timeout', async (t) => {
  const server = await startRecordingServer(t, 'half an answer');
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits, timeoutMs: 50 }), {
    code: 'ETIMEDOUT',
  });
});

t.test('the connection is closed at the timeout', async (t) => {
  const server = createServer();
  const closed = once(server, 'request').then(([request]) => once(request.socket, 'close'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await t.rejects(client(t)({ method: 'GET', url, ...limits, timeoutMs: 250 }));
  await t.resolves(closed);
});

t.test('a closed connection is an error', async (t) => {
  const server = await startRecordingServer(t, 'close');
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits }), {
    code: 'UND_ERR_SOCKET',
  });
});

t.test('a header that cannot be sent is refused without its value', async (t) => {
  const server = await startRecordingServer(t, {});
  const headers = { authorization: 'Bearer to\nken' };
  await t.rejects(client(t)({ method: 'GET', url: server.url, headers, ...limits }), {
    message: 'invalid authorization header',
  });
  t.strictSame(server.requests, []);
});

const SMALL = 'x'.repeat(1000);
const CODINGS: [name: string, header: string | null, body: Buffer][] = [
  ['gzip', 'gzip', gzipSync(SMALL)],
  ['gzip under its old name', 'X-GZip', gzipSync(SMALL)],
  ['deflate', 'deflate', deflateSync(SMALL)],
  ['deflate without the zlib head', 'deflate', deflateRawSync(SMALL)],
  ['br', 'br', brotliCompressSync(SMALL)],
  ['two codings', 'gzip, br', brotliCompressSync(gzipSync(SMALL))],
  ['identity, said', 'identity', Buffer.from(SMALL)],
  ['a coding that is said and was not applied', 'gzip', Buffer.from(SMALL)],
  ['a coding that nobody knows', 'pack200', Buffer.from(SMALL)],
];
if ('zstdCompressSync' in zlib) {
  const compress = zlib.zstdCompressSync as (text: string) => Buffer;
  CODINGS.push(['zstd', 'zstd', compress(SMALL)]);
}
for (const [name, coding, body] of CODINGS) {
  t.test(
    `a compressed response is asked for by nobody, and decoded all the same: ${name}`,
    async (t) => {
      const headers: Record<string, string> = coding ? { 'content-encoding': coding } : {};
      const server = await startRecordingServer(t, { headers, body });
      const response = await client(t)({ method: 'GET', url: server.url, ...limits });
      t.equal(response.text, SMALL);
      t.equal(server.requests[0]?.headers['accept-encoding'], 'identity');
    },
  );
}

for (const [name, compress] of [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const) {
  t.test(`the limit holds for the decoded size: ${name}`, async (t) => {
    const body = compress(Buffer.alloc(64 * 1024 * 1024));
    const headers = { 'content-encoding': name };
    const server = await startRecordingServer(t, { headers, body });
    const request = { method: 'GET', url: server.url, ...limits, maxBytes: 256 * 1024 } as const;
    await t.rejects(client(t)(request), {
      code: 'RESPONSE_TOO_LARGE',
      partial: { status: 200, text: '' },
    });
  });

  t.test(`what came of a response that broke off is decoded: ${name}`, async (t) => {
    const text = `{"refresh_token":"r"}${'x'.repeat(100)}`;
    const whole = compress(text);
    const headers = { 'content-encoding': name };
    const breaksOffAfter = whole.subarray(0, -4);
    const server = await startRecordingServer(t, { headers, breaksOffAfter });
    const request = { method: 'GET', url: server.url, ...limits } as const;
    const error: unknown = await client(t)(request).catch((thrown: unknown) => thrown);
    if (!(error instanceof CallError)) throw new Error('no CallError', { cause: error });
    t.equal(error.wasSent, true);
    t.equal(error.partial?.status, 200);
    t.not(error.partial?.text, '');
    t.ok(text.startsWith(error.partial?.text ?? '-'));
  });
}

/** Why the call failed, and whether it may have been carried out. */
async function failed(http: HttpClient, url: string): Promise<{ code: string; unsent: boolean }> {
  const error: unknown = await http({ method: 'POST', url, body: {}, ...limits }).catch((e) => e);
  return { code: transportCode(error), unsent: wasNeverSent(error) };
}

t.test('sent is what a connection was given, whatever the error says: never', async (t) => {
  const silent = await startTcpUpstream(t);
  const { port } = new URL(silent.origin);
  const plain = client(t);
  const free = await closedPort();
  t.match(await failed(plain, `http://127.0.0.1:${free}`), { code: 'ECONNREFUSED', unsent: true });
  t.match(await failed(plain, 'http://nowhere.invalid'), { unsent: true });
  const handshake = failed(plain, `https://127.0.0.1:${port}`);
  const socket = await silent.next();
  await once(socket, 'data');
  socket.end('this is not TLS');
  t.match(await handshake, { code: /SSL|PROTO/, unsent: true });
  const certificate = await makeCertificate(t);
  const server = await startUpstream(t, (_request, response) => response.end(), certificate);
  t.match(await failed(plain, server.origin), { code: /SIGNED|VERIFY/, unsent: true });
});

t.test('sent is what a connection was given, whatever the error says: sent', async (t) => {
  const server = await startRecordingServer(t, 'close');
  t.match(await failed(client(t), server.url), { code: 'UND_ERR_SOCKET', unsent: false });
  // A record that cannot be decrypted, after the request: the code is one of the handshake's.
  const certificate = await makeCertificate(t);
  const tls = createTlsServer(certificate);
  const raw = createTcpServer((near) => {
    const far = connect((tls.address() as AddressInfo).port, '127.0.0.1');
    near.pipe(far).pipe(near, { end: false });
    tls.once('secureConnection', (socket) => {
      socket.once('data', () => near.write(Buffer.from(`1703030020${'ab'.repeat(32)}`, 'hex')));
      // The client has said that it cannot read the record.
      socket.once('error', () => near.destroy());
    });
    for (const socket of [near, far]) socket.on('error', () => undefined);
    t.teardown(() => far.destroy());
  });
  for (const server of [tls, raw]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
  }
  const agent = new Agent({ connect: { ca: certificate.cert } });
  t.teardown(() => agent.destroy());
  const http = createHttpClient(agent, 'codex-auth-sidecar/test');
  const { port } = raw.address() as AddressInfo;
  const failure = await failed(http, `https://127.0.0.1:${port}`);
  t.match(failure, { unsent: false });
});
