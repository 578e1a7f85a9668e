import t from 'tap';
import { downstreamHeaders, switchingHeaders } from '../../src/proxy/headers.ts';

const octets = (...headers: string[]) => headers.map((text) => Buffer.from(text, 'latin1'));

t.test('cookies and the headers of one hop do not pass', async (t) => {
  const raw = octets(
    ...['Set-Cookie', 'a=b', 'Connection', 'keep-alive, X-Hop', 'X-Hop', '1', 'Keep-Alive', 'x'],
    ...['Transfer-Encoding', 'chunked', 'Upgrade', 'h2c', 'Trailer', 'x', 'TE', 'x'],
    ...['Proxy-Connection', 'x', 'ETag', '"1"', 'set-cookie', 'c=d'],
  );
  t.strictSame(downstreamHeaders(raw, 200), ['ETag', '"1"']);
});

t.test('no page is told that it may read or time an answer', async (t) => {
  const rest = ['Vary', 'x', 'Cross-Origin-Resource-Policy', 'same-origin'];
  const raw = octets(
    ...['Access-Control-Allow-Origin', '*', 'access-control-max-age', '1'],
    ...['Timing-Allow-Origin', '*', ...rest],
  );
  t.strictSame(downstreamHeaders(raw, 200), rest);
  t.strictSame(switchingHeaders(raw).slice(4), rest);
});

t.test('the rest keeps its order, spelling, repetition and octets', async (t) => {
  const headers = ['X-Codex-A', '1', 'Warning', 'a', 'warning', 'b', 'x-name', 'Jürgen'];
  t.strictSame(downstreamHeaders(octets(...headers), 200), headers);
});

t.test('upgrade passes with a 426 only', async (t) => {
  const raw = octets('Upgrade', 'websocket', 'Connection', 'Upgrade');
  t.strictSame(downstreamHeaders(raw, 426), ['Upgrade', 'websocket']);
  t.strictSame(downstreamHeaders(raw, 400), []);
});

t.test('a 101 has its own connection headers and the rest of the upstream', async (t) => {
  const raw = octets(
    ...['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Accept', 'abc='],
    ...['Set-Cookie', 'a=b', 'X-Codex-Turn-State', 's'],
  );
  t.strictSame(switchingHeaders(raw), [
    ...['connection', 'Upgrade', 'upgrade', 'websocket'],
    ...['Sec-WebSocket-Accept', 'abc=', 'X-Codex-Turn-State', 's'],
  ]);
});
