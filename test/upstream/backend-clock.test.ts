import t from 'tap';
import { BackendClock } from '../../src/upstream/backend-clock.ts';

const START = Date.parse('2026-11-20T21:30:36.250Z');

function clock() {
  let local = START;
  const lines: string[] = [];
  const say = (level: string) => (_fields: unknown, text: string) =>
    void lines.push(`${level}: ${text}`);
  const log = { warn: say('warn'), info: say('info') } as ConstructorParameters<
    typeof BackendClock
  >[1];
  return {
    backend: new BackendClock(() => local, log),
    lines,
    advance: (ms: number) => {
      local += ms;
    },
  };
}

const at = (ms: number) => new Date(START + ms).toUTCString();

t.test('before the first answer it is the local clock', async (t) => {
  const { backend } = clock();
  t.equal(backend.now(), START);
  t.equal(backend.skewSeconds, null);
});

t.test('the fraction that the header does not say is no difference', async (t) => {
  const { backend } = clock();
  backend.observe(at(0));
  t.equal(backend.skewSeconds, 0);
  t.equal(backend.now(), START);
});

for (const [skew, seconds, corrected] of [
  [-30_000, 30, false],
  [-31_000, 31, true],
  [29_000, -29, false],
  [31_000, -31, true],
] as const) {
  t.test(`a backend that is ${skew} ms ahead`, async (t) => {
    const { backend, lines } = clock();
    backend.observe(at(skew));
    t.equal(backend.skewSeconds, seconds);
    t.equal(backend.now() === START, !corrected);
    if (corrected) t.equal(backend.now(), Date.parse(at(skew)) + 500);
    t.equal(lines.length, corrected ? 1 : 0);
  });
}

t.test('a difference is said once, and its end too', async (t) => {
  const { backend, lines, advance } = clock();
  backend.observe(at(3_600_000));
  advance(1000);
  backend.observe(at(3_601_000));
  t.strictSame(lines, ['warn: the clock differs from the backend; signatures are corrected']);
  advance(1000);
  backend.observe(at(2000));
  t.equal(lines.at(-1), 'info: the clock agrees with the backend again');
  t.equal(backend.now(), START + 2000, 'without a correction');
});

t.test('what is no date is passed over, and so is the same one again', async (t) => {
  const { backend, advance } = clock();
  backend.observe(null);
  backend.observe('yesterday');
  t.equal(backend.skewSeconds, null);
  backend.observe(at(0));
  advance(120_000);
  backend.observe(at(0));
  t.equal(backend.skewSeconds, 0, 'a late answer does not make a difference');
});

t.test('a response out of a cache tells nothing, for it was dated when it went in', async (t) => {
  const { backend } = clock();
  const dated = (date: string, age?: string) => (name: string) => ({ date, age })[name] ?? null;
  backend.observeResponse(dated(at(-30_000)));
  t.equal(backend.skewSeconds, 30);
  backend.observeResponse(dated(at(-3_600_000), '3600'));
  t.equal(backend.skewSeconds, 30);
  backend.observeResponse(dated('nonsense'));
  t.equal(backend.skewSeconds, 30);
});

t.test('no value of the header can put us out of use', async (t) => {
  const { backend } = clock();
  for (const date of [
    'Sat, 13 Sep 275760 00:00:00 GMT',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    new Date(START + 25 * 3600 * 1000).toUTCString(),
    '8640000000000000',
    'never',
    '',
  ]) {
    backend.observe(date);
    t.equal(backend.now(), START, date);
    t.equal(backend.skewSeconds, null, date);
  }
  backend.observe(at(-60_000));
  t.equal(backend.skewSeconds, 60, 'a later header that can be believed counts');
});

const HOUR = 3_600_000;
/** What each side says in order, and what is corrected then. */
const TELLERS: [name: string, said: [number, 'own' | 'proxied'][], correctedMs: number][] = [
  ['proxied responses alone', [[HOUR, 'proxied']], 0],
  ['our own calls alone', [[HOUR, 'own']], HOUR],
  [
    'both, in agreement',
    [
      [HOUR, 'proxied'],
      [HOUR + 1000, 'own'],
    ],
    HOUR,
  ],
  [
    'our own calls, and proxied ones that find no difference',
    [
      [HOUR, 'own'],
      [0, 'proxied'],
    ],
    0,
  ],
  [
    'proxied responses that our own calls contradict',
    [
      [HOUR, 'proxied'],
      [0, 'own'],
    ],
    0,
  ],
  [
    'both, in disagreement',
    [
      [2 * HOUR, 'proxied'],
      [HOUR, 'own'],
    ],
    HOUR,
  ],
  [
    'proxied responses that go back and forth',
    [
      [0, 'own'],
      [HOUR, 'proxied'],
      [-HOUR, 'proxied'],
    ],
    0,
  ],
];
for (const [name, said, correctedMs] of TELLERS) {
  t.test(`one bad clock is not believed: ${name}`, async (t) => {
    const { backend } = clock();
    for (const [ms, teller] of said) backend.observe(at(ms), teller);
    t.equal(Math.round((backend.now() - START) / HOUR) * HOUR, correctedMs);
  });
}
