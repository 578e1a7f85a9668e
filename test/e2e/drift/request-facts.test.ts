import t from 'tap';
import { FactBook } from './facts.ts';
import { addRequestFacts, type SentRequest } from './request-facts.ts';

const NAMES = { sidecarHost: '127.83.0.1:4711', accountId: 'the-account' };
const UUID = '01a21ed9-9918-7631-9306-86f2d46e1f52';

function factsOf(sent: Partial<SentRequest>): string[] {
  const book = new FactBook();
  const plain = { transport: 'http', method: 'GET', path: '/', headers: {} } as const;
  addRequestFacts(book, { ...plain, body: null, frames: [], ...sent }, NAMES);
  return book.list.map(({ topic, subject, value }) => `${topic} | ${subject} | ${value}`);
}

t.test('two runs of one Codex give the same facts', async (t) => {
  const one = factsOf({
    path: `/backend-api/tasks/${UUID}/the-account/agent-rt%2B2-351ed2c59e95a60339?cursor=1`,
    headers: { host: NAMES.sidecarHost, 'session-id': UUID, authorization: 'Bearer first' },
  });
  const other = factsOf({
    path: '/backend-api/tasks/{id}/{id}/{id}?cursor=2',
    headers: { host: NAMES.sidecarHost, 'session-id': 'another', authorization: 'Bearer second' },
  });
  t.strictSame(one, other);
  const subject = 'GET sidecar/backend-api/tasks/{id}/{id}/{id}';
  t.strictSame(one, [
    `headers | ${subject} | authorization: Bearer`,
    `headers | ${subject} | host`,
    `headers | ${subject} | session-id`,
    `query | ${subject} | cursor`,
    `requests | ${subject} | `,
  ]);
});

t.test('what a client chooses is a fact with its value', async (t) => {
  const facts = factsOf({
    transport: 'websocket',
    path: '/backend-api/codex/responses',
    headers: {
      host: 'chatgpt.com',
      'openai-beta': 'responses_websockets=2026-02-06',
      'accept-encoding': 'zstd,gzip',
      'x-codex-turn-metadata': JSON.stringify({ turn_id: UUID, sandbox: 'none' }),
    },
    frames: [{ type: 'response.create', input: [{ role: 'user' }, { id: 'x' }] }],
  });
  const subject = 'GET+upgrade https://chatgpt.com/backend-api/codex/responses';
  t.strictSame(facts, [
    `bodies | ${subject} | frame response.create: input`,
    `bodies | ${subject} | frame response.create: input[].id`,
    `bodies | ${subject} | frame response.create: input[].role`,
    `bodies | ${subject} | frame response.create: type`,
    `headers | ${subject} | accept-encoding: zstd,gzip`,
    `headers | ${subject} | host`,
    `headers | ${subject} | openai-beta: responses_websockets=2026-02-06`,
    `headers | ${subject} | x-codex-turn-metadata`,
    `headers | ${subject} | x-codex-turn-metadata: sandbox`,
    `headers | ${subject} | x-codex-turn-metadata: turn_id`,
    `requests | ${subject} | `,
  ]);
});

t.test(
  'of a body the keys are facts, of some the value, and that it could not be read',
  async (t) => {
    const body = {
      refresh_reason: 'scheduled',
      deep: { inner: { lost: 1 } },
      [UUID]: 1,
      '/tmp/some/folder': { trusted: true },
    };
    const facts = factsOf({ method: 'POST', headers: { host: 'a.example' }, body });
    const keys = facts
      .filter((fact) => fact.startsWith('bodies'))
      .map((fact) => fact.split(' | ')[2]);
    t.strictSame(keys, [
      'deep',
      'deep.inner',
      'refresh_reason',
      'refresh_reason: scheduled',
      '{id}',
      '{id}.trusted',
    ]);
    const compressed = factsOf({ headers: { 'content-encoding': 'zstd' } });
    t.match(compressed.join('\n'), '(compressed, so it was not read)');
  },
);
