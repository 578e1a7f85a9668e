import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { createHttpClient, type HttpClient } from '../../src/upstream/http-client.ts';
import { startRecordingServer } from '../helpers/recording-server.ts';

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
    name: 'ResponseTooLargeError',
    message: 'the answer is larger than 1024 bytes',
    status: 201,
  });
});

t.test('the limit counts bytes, not characters', async (t) => {
  const server = await startRecordingServer(t, { body: 'ä'.repeat(513) });
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits }), {
    name: 'ResponseTooLargeError',
  });
});

t.test('an answer without an end is cut off at the limit', async (t) => {
  const server = await startRecordingServer(t, 'half an answer');
  const request = { method: 'GET', url: server.url, ...limits, maxBytes: 4 } as const;
  await t.rejects(client(t)(request), { name: 'ResponseTooLargeError' });
});

t.test('a server that never answers is left at the timeout', async (t) => {
  const server = await startRecordingServer(t, 'silence');
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits, timeoutMs: 20 }), {
    name: 'TimeoutError',
  });
});

t.test('an answer that stops half-way is left at the timeout', async (t) => {
  const server = await startRecordingServer(t, 'half an answer');
  await t.rejects(client(t)({ method: 'GET', url: server.url, ...limits, timeoutMs: 50 }), {
    name: 'TimeoutError',
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
