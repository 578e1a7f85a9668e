import { once } from 'node:events';
import t from 'tap';
import { localError, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { closedPort, startTcpUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

// Each has no response that could pass; the words say which of them it is. Undici gives the errors of
// its parser no code.
const RESPONSES_WITH_WORDS: [response: string, words: RegExp][] = [
  ['SSH-2.0-OpenSSH_9.6\r\n', /its response is not valid HTTP \(.+\)/],
  ['HTTP/1.1 200 OK\r\nA B: c\r\n\r\n', /its response is not valid HTTP \(Invalid header token\)/],
  [
    'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
    /its response is not valid HTTP \(.*Content-Length.*\)/,
  ],
  ['HTTP/1.1 2x0 OK\r\n\r\n', /its response is not valid HTTP \(Invalid status code\)/],
  ['<html>not HTTP hush</html>', /its response is not valid HTTP \(.+\)/],
  ['\x16\x03\x01\x02', /its response is not valid HTTP \(.+\)/],
  [
    `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(300_000)}\r\n\r\n`,
    /the headers of its response are larger than \d+ bytes/,
  ],
  ['', /it closed the connection before it responded \(UND_ERR_SOCKET\)/],
];

for (const [response, words] of RESPONSES_WITH_WORDS) {
  t.test(`the cause is named: ${JSON.stringify(response.slice(0, 40))}`, async (t) => {
    const upstream = await startTcpUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    for (const attempt of [() => send(url + MODELS), () => tryUpgrade(url + RESPONSES)]) {
      const asked = attempt();
      const socket = await upstream.next();
      await once(socket, 'data');
      socket.end(response, 'latin1');
      const failure = await asked;
      localError(t, failure, 502, 'UPSTREAM_UNREACHABLE');
      t.match(failure.text, words);
      t.match(failure.text, `no response from ${upstream.origin}: `);
      t.notMatch(failure.text, /unknown error|hush/);
    }
  });
}

t.test('the cause is named: nobody listens', async (t) => {
  const origin = `http://127.0.0.1:${await closedPort()}`;
  const { url } = await startSidecarInFrontOf(t, origin);
  const failure = await send(url + MODELS);
  localError(t, failure, 502, 'UPSTREAM_UNREACHABLE');
  t.match(failure.text, `no response from ${origin}: it refuses connections (ECONNREFUSED)`);
});
