import t from 'tap';
import { type Fact, FactBook, type Topic } from './facts.ts';
import { compareReport, factsReport } from './report.ts';

type Given = [topic: Topic, subject: string, value?: string];

function facts(...given: Given[]): Fact[] {
  const book = new FactBook();
  for (const fact of given) book.add(...fact);
  return book.list;
}

/** The lines under each title, without topics in which nothing differs. */
function changes(older: Given[], newer: Given[]): Record<string, string[]> {
  const text = compareReport(facts(...older), facts(...newer));
  const parts = text.split('### ').slice(1);
  return Object.fromEntries(
    parts
      .map((part) => part.trimEnd().split('\n\n'))
      .filter(([, lines = '']) => !lines.startsWith('No difference'))
      .map(([title = '', lines = '']) => [title, lines.split('\n')]),
  );
}

const MODELS = 'GET sidecar/backend-api/codex/models';
const USAGE = 'GET https://chatgpt.com/backend-api/wham/usage';
const UPGRADE = 'GET+upgrade sidecar/backend-api/codex/responses';
const REQUESTS: Given[] = [
  ['requests', MODELS],
  ['requests', USAGE],
  ['requests', UPGRADE],
];

t.test('equal facts differ in nothing, whatever their order', async (t) => {
  const given: Given[] = [...REQUESTS, ['headers', MODELS, 'accept: */*'], ['schema', 'A', '.b']];
  t.strictSame(changes(given, [...given].reverse()), {});
});

t.test('a request that came or went is said once, without its details', async (t) => {
  const path = '/backend-api/ps/plugins/new';
  const added: Given[] = [`GET sidecar${path}`, `GET https://chatgpt.com${path}`].flatMap(
    (request): Given[] => [
      ['requests', request],
      ['headers', request, 'accept: */*'],
      ['query', request, 'limit'],
    ],
  );
  t.strictSame(changes(REQUESTS, [...REQUESTS, ...added]), {
    Requests: [`- \`+\` \`GET ${path}\` (https://chatgpt.com, sidecar)`],
  });
  t.strictSame(changes([...REQUESTS, ...added], REQUESTS), {
    Requests: [`- \`-\` \`GET ${path}\` (https://chatgpt.com, sidecar)`],
  });
});

t.test('what all requests of a kind have is said of the kind', async (t) => {
  const sent = (...requests: string[]): Given[] => [
    ...REQUESTS,
    ...requests.map((request): Given => ['headers', request, 'accept-encoding: zstd']),
  ];
  const line = (about: string) => ({ Headers: [`- \`+\` \`accept-encoding: zstd\` on ${about}`] });
  t.strictSame(changes(REQUESTS, sent(MODELS, USAGE)), line('every HTTP request'));
  t.strictSame(changes(REQUESTS, sent(MODELS, USAGE, UPGRADE)), line('every request'));
  t.strictSame(
    changes(REQUESTS, sent(MODELS, UPGRADE)),
    line(
      '`GET /backend-api/codex/models` (sidecar), `GET+upgrade /backend-api/codex/responses` (sidecar)',
    ),
  );
});

t.test('a fact with another value is shown as it was and as it is', async (t) => {
  const reaction = (value: string): Given[] => [['reactions', '401 to a request', value]];
  t.strictSame(changes(reaction('6 tries, then: a'), reaction('1 try, then: b')), {
    'Reactions to a refusal': [
      '- `-` 401 to a request: 6 tries, then: a',
      '- `+` 401 to a request: 1 try, then: b',
    ],
  });
});

t.test('new values of one subject stand in one line', async (t) => {
  const plans = (...names: string[]): Given[] =>
    names.map((name) => ['schema', 'PlanType', JSON.stringify(name)]);
  t.strictSame(changes(plans('free'), plans('free', 'sci', 'sci_plus')), {
    'Accounts in the schema of the app server': ['- `+` PlanType: "sci"; "sci_plus"'],
  });
});

t.test('one Codex alone is shown with all that it does', async (t) => {
  const text = factsReport(facts(...REQUESTS, ['reactions', '401 to a request', '6 tries']));
  t.match(text, `- ${MODELS}\n`);
  t.match(text, '- 401 to a request: 6 tries\n');
});
