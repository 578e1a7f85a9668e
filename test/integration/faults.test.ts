import t, { type Test } from 'tap';
import { dialTcp, send } from '../helpers/exchange.ts';
import { drips, type Fault, FaultyUpstream, goesOn, says } from '../helpers/faulty-upstream.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { upgradeText } from '../helpers/websocket.ts';
import { headerOf, readAnswer, type WireAnswer, WireReader } from '../helpers/wire.ts';
import { head, requestHead } from '../helpers/wire-text.ts';

const upstream = await FaultyUpstream.start(t);
const { url, port } = await startSidecarInFrontOf(t, `http://127.0.0.1:${upstream.port}`);

const REQUESTS: Record<string, string> = {
  GET: requestHead(`GET ${MODELS}`),
  POST: `${requestHead(`POST ${RESPONSES}`, 'content-length: 2')}{}`,
  upgrade: upgradeText(RESPONSES),
};

/**
 * How a fault must look to the client: an error of `docs/errors.md`; an answer that breaks off, with
 * its status and what came of the body; or a whole answer.
 */
type Outcome =
  | { error: string; status: number }
  | { cut: string; status: number }
  | { whole: string; status: number };

const UNREACHABLE: Outcome = { error: 'UPSTREAM_UNREACHABLE', status: 502 };
const cut = (body: string, status = 200): Outcome => ({ cut: body, status });
const whole = (body: string, status = 200): Outcome => ({ whole: body, status });

const OK = 'HTTP/1.1 200 OK';
const CHUNKED = head(OK, 'transfer-encoding: chunked');
const LONG = head(OK, 'content-length: 100');
const STRAY = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray';

// Each before any header, so that no answer can have begun.
const WITHOUT_ANSWER: Record<string, Fault> = {
  'an end': says('', 'end'),
  'a reset': says('', 'resetAndDestroy'),
  'half a status line, and an end': says('HTTP/1.1 20', 'end'),
  'half a header, and an end': says(`${OK}\r\ncontent-le`, 'end'),
  'half a header, and a reset': says(`${OK}\r\ncontent-le`, 'resetAndDestroy'),
  'no HTTP': says('\u0000\u0001 this is not HTTP\r\n\r\n', null),
  'another protocol': says('SSH-2.0-OpenSSH_9.2\r\n', null),
  'a status of four digits': says('HTTP/1.1 2000 OK\r\n\r\n', null),
  'a header without a name': says(`${OK}\r\n: x\r\n\r\n`, null),
  'a header with NUL': says(`${OK}\r\nx: a\u0000b\r\n\r\n`, null),
  'a line that ends in CR alone': says(`${OK}\rx: y\r\n\r\n`, null),
  'two lengths': says(head(OK, 'content-length: 1', 'content-length: 2'), null),
  'a length that is none': says(head(OK, 'content-length: -1'), null),
  'length and chunks': says(head(OK, 'content-length: 1', 'transfer-encoding: chunked'), null),
  'headers without end': goesOn(`${OK}\r\n`, `x: ${'x'.repeat(1000)}\r\n`),
};

const AFTER_HEADERS: Record<string, [Fault, Outcome]> = {
  'too long a length, and an end': [says(`${LONG}part`, 'end'), cut('part')],
  'too long a length, and a reset': [says(`${LONG}part`, 'resetAndDestroy'), cut('part')],
  'too short a length': [says(`${head(OK, 'content-length: 4')}partial`, null), whole('part')],
  'an answer behind the answer': [
    says(`${head(OK, 'content-length: 4')}mine${STRAY}`, null),
    whole('mine'),
  ],
  'a body of a 204': [says(`${head('HTTP/1.1 204 No Content')}${STRAY}`, null), whole('', 204)],
  'no last chunk, and an end': [says(`${CHUNKED}4\r\npart\r\n`, 'end'), cut('part')],
  'no last chunk, and a reset': [says(`${CHUNKED}4\r\npart\r\n`, 'resetAndDestroy'), cut('part')],
  'half a chunk, and an end': [says(`${CHUNKED}8\r\npart`, 'end'), cut('part')],
  'a chunk of no size': [says(`${CHUNKED}4\r\npart\r\nwrong\r\n`, null), cut('part')],
  'a chunk longer than its size': [says(`${CHUNKED}4\r\npartial\r\n`, null), cut('part')],
  'half a 401, and an end': [
    says(`${head('HTTP/1.1 401 U', 'content-length: 9')}part`, 'end'),
    cut('part', 401),
  ],
  'half a 503, and a reset': [
    says(`${head('HTTP/1.1 503 S', 'content-length: 9')}part`, 'resetAndDestroy'),
    cut('part', 503),
  ],
  'a 100 that nobody waits for': [
    says(`${head('HTTP/1.1 100 Continue')}${STRAY}`, null),
    whole('stray'),
  ],
  'octet after octet': [drips(`${LONG}${'slow'.repeat(25)}`), whole('slow'.repeat(25))],
};

async function ask(t: Test, method: string): Promise<WireAnswer> {
  const client = await dialTcp(t, port);
  const reader = new WireReader(client);
  client.write(REQUESTS[method] ?? '');
  const answer = await readAnswer(reader, method, async () => undefined);
  client.destroy();
  return answer;
}

function check(t: Test, answer: WireAnswer, outcome: Outcome): void {
  t.equal(Number(answer.start.split(' ')[1]), outcome.status);
  t.equal(headerOf(answer, 'x-sidecar-error'), 'error' in outcome ? outcome.error : null);
  if ('error' in outcome) {
    t.equal(JSON.parse(String(answer.body)).error.code, outcome.error);
    t.equal(headerOf(answer, 'retry-after'), '1');
  } else if ('cut' in outcome) {
    t.equal(answer.framing, 'cut', 'it does not look complete');
    t.ok(outcome.cut.startsWith(String(answer.body)), 'and holds nothing that was not sent');
  } else {
    t.not(answer.framing, 'cut');
    t.equal(String(answer.body), outcome.whole);
  }
}

/** One dial for the request that failed, and the next one is served as if nothing had been. */
async function checkNext(t: Test): Promise<void> {
  await untilStatus(url, ({ connections }) => connections.http + connections.websocket === 0);
  t.equal(upstream.heads.length, 1, 'it was sent once');
  t.equal((await send(url + MODELS)).text, 'next');
  t.equal(upstream.heads.length, 2);
}

// Of a switch that nobody asked for.
const STRANGE: Record<string, Fault> = {
  101: says(head('HTTP/1.1 101 S', 'connection: upgrade', 'upgrade: websocket'), null),
};

for (const method of ['GET', 'POST']) {
  for (const [name, fault] of Object.entries(STRANGE)) {
    t.test(`${method}: ${name}`, async (t) => {
      upstream.order(fault);
      check(t, await ask(t, method), UNREACHABLE);
      await checkNext(t);
    });
  }
}

for (const method of Object.keys(REQUESTS)) {
  for (const [name, fault] of Object.entries(WITHOUT_ANSWER)) {
    t.test(`${method}: ${name}`, async (t) => {
      upstream.order(fault);
      check(t, await ask(t, method), UNREACHABLE);
      await checkNext(t);
    });
  }

  for (const [name, [fault, outcome]] of Object.entries(AFTER_HEADERS)) {
    t.test(`${method}: ${name}`, async (t) => {
      upstream.order(fault);
      check(t, await ask(t, method), outcome);
      await checkNext(t);
    });
  }

  t.test(`${method}: nobody listens`, async (t) => {
    await upstream.stop();
    check(t, await ask(t, method), UNREACHABLE);
    await upstream.listen();
    t.equal((await send(url + MODELS)).text, 'next');
  });
}
