import t from 'tap';
import { UsageBook } from '../../src/clients/usage-book.ts';

const DAY = 86_400_000;
const NOON = Date.parse('2026-11-27T12:00:00Z');
const usage = { input: 10, cached: 4, output: 3, reasoning: 1 };
const turn = (model = 'gpt-a') => ({ model, usage, unknown: null });

t.test('adds up by client, model and day', async (t) => {
  const book = new UsageBook();
  book.addTurn('a', turn(), NOON);
  book.addTurn('a', turn('gpt-b'), NOON);
  book.addTurn('a', turn(), NOON + DAY);
  book.addTurn('b', turn(), NOON);
  book.addTurn(null, { model: null, usage: null, unknown: 'unfinished' }, NOON);
  book.addTurn('a', { model: 'gpt-a', usage: null, unknown: null }, NOON);
  book.addRequest('a', NOON);
  const [newest, oldest] = book.of('a');
  t.match(newest, { day: '2026-11-28', turns: 1, tokens: usage });
  t.match(oldest, {
    ...{ day: '2026-11-27', requests: 1, turns: 3, unknown: 0 },
    tokens: { input: 20, cached: 8, output: 6, reasoning: 2 },
    models: { 'gpt-a': { turns: 2, tokens: usage }, 'gpt-b': { turns: 1, tokens: usage } },
  });
  t.match(book.of(null), [{ turns: 1, unknown: 1, tokens: { input: 0 }, models: { unknown: {} } }]);
  t.strictSame(book.clients, ['a', 'b', null]);
  t.strictSame(book.of('c'), []);
});

t.test('a new day begins at midnight UTC', async (t) => {
  const book = new UsageBook();
  const midnight = Date.parse('2026-11-28T00:00:00Z');
  book.addTurn('a', turn(), midnight - 1);
  t.equal(book.today('a', midnight - 1).tokens.input, 10);
  t.equal(book.today('a', midnight).tokens.input, 0);
  book.addTurn('a', turn(), midnight);
  t.equal(book.today('a', midnight).tokens.input, 10);
  t.match(book.of('a'), [{ day: '2026-11-28' }, { day: '2026-11-27' }]);
});

t.test('a clock that jumps finds the days that it left', async (t) => {
  const book = new UsageBook();
  // More days than are kept, and those of the jump are later than any other.
  const there = [40_000, 40_001, 40_002, 40_003];
  const further = [40_004, 40_005, 40_006, -20_000, -20_001];
  for (const jump of [0, ...there, 0, ...further, 0]) {
    book.addTurn('a', turn(), NOON + jump * DAY);
  }
  t.equal(book.today('a', NOON).tokens.input, 30);
});

t.test('eight days are kept: those that were used last', async (t) => {
  const book = new UsageBook();
  for (let day = 0; day < 12; day++) book.addTurn('a', turn(), NOON + day * DAY);
  const days = book.of('a').map(({ day }) => day);
  t.equal(days.length, 8);
  t.equal(days[0], '2026-12-08');
  t.equal(days.at(-1), '2026-12-01');
});
