import t from 'tap';
import { sendRaw } from '../helpers/exchange.ts';
import { startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

// What the client sends, and what the upstream gets.
const TARGETS = [
  ['/backend-api/codex/models?a=%2e%2E/..//&b=a%20b+c&b&=&?', null],
  ["/backend-api/files/a~b_c-d.e(f)!$&'*,=:@?x", null],
  ['/backend-api/files/%41%7e%c3%bc', '/backend-api/files/A~%C3%BC'],
  ['/%62ackend-api/codex/models', '/backend-api/codex/models'],
  [`/backend-api/files/${'long'.repeat(2000)}`, null],
] as const;

for (const [target, expected] of TARGETS) {
  t.test(`${target.slice(0, 60)} goes up as ${expected?.slice(0, 60) ?? 'it is'}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end());
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const request = `GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`;
    t.match(await sendRaw(t, port, request), /^HTTP\/1\.1 200 /);
    t.strictSame(
      upstream.requests.map(({ url }) => url),
      [expected ?? target],
    );
  });
}

for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
  t.test(`${method} goes up as it is`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end());
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const text = `${method} /backend-api/files/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`;
    t.match(await sendRaw(t, port, text), /^HTTP\/1\.1 200 /);
    t.equal(upstream.requests[0]?.method, method);
  });
}
