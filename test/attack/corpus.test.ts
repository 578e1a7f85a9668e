import t, { type Test } from 'tap';
import { ERROR_STATUS, type ErrorCode } from '../../src/base/errors.ts';
import { type Entry, type Expected, type Group, get } from './corpus.ts';
import { FRAMING } from './corpus-framing.ts';
import { HEADERS } from './corpus-headers.ts';
import { MESSAGES } from './corpus-message.ts';
import { PATHS, UPGRADE_PATHS } from './corpus-paths.ts';
import { UPGRADES } from './corpus-upgrades.ts';
import { type GuardedSidecar, type Seen, startGuardedSidecar } from './guarded-sidecar.ts';
import { exchangeRaw, type RawOutcome } from './raw-exchange.ts';

/** Goes up as it should. */
const GOOD = get('');

const flat = (groups: Record<string, Group>): Entry[] =>
  Object.entries(groups).flatMap(([kind, { reason, entries }]) =>
    entries.map((entry) => ({ ...entry, name: `${kind}: ${entry.name}`, reason })),
  );

const MALFORMED = [...flat(FRAMING), ...flat(MESSAGES), ...flat(HEADERS), ...flat(UPGRADES)];
// How a path is read does not depend on how the connection was made.
const OVER_TCP = [...MALFORMED, ...PATHS, ...UPGRADE_PATHS];

t.test('the corpus is as large as it should be, and no entry stands in it twice', async (t) => {
  const all = OVER_TCP;
  t.ok(all.length >= 150, `${all.length} entries`);
  t.equal(new Set(all.map(({ name }) => name)).size, all.length);
  t.equal(new Set(all.map(({ text }) => text)).size, all.length);
});

for (const viaSocket of [false, true]) {
  t.test(viaSocket ? 'through a Unix socket' : 'over TCP', async (t) => {
    const stand = await startGuardedSidecar(t, { viaSocket });
    const entries = viaSocket ? MALFORMED : OVER_TCP;
    let forwarded = entries.length;
    for (const entry of entries) forwarded += await attack(t, stand, entry, viaSocket);
    const { seen, broken, log } = stand;
    t.equal(whole(seen).length, forwarded, 'nothing came late, and nothing cut off became whole');
    t.strictSame(broken, [], 'the upstream could parse everything');
    const failures = log.filter((line) => /^(error|fatal)$/.test(JSON.parse(line).level));
    t.strictSame(failures, [], 'nothing failed inside');
  });
}

/** @returns how many requests reached the upstream; one more follows, to see that all is well */
async function attack(
  t: Test,
  stand: GuardedSidecar,
  entry: Entry,
  viaSocket: boolean,
): Promise<number> {
  const expected = (viaSocket ? entry.viaSocket : undefined) ?? entry.expected;
  const before = stand.seen.length;
  const outcome = await exchangeRaw(stand.dial(), entry.text, entry.hangUp);
  const seen = stand.seen.slice(before);
  check(t, entry, expected, outcome, whole(seen));
  const unscrubbed = seen.filter(({ rawHeaders }) => /evil|client-token/.test(String(rawHeaders)));
  if (unscrubbed.length > 0) t.fail(`${entry.name}: not scrubbed`, { unscrubbed });
  const good = await exchangeRaw(stand.dial(), GOOD);
  if (good.answers[0]?.status !== 200 || !good.goesOn) t.fail(`${entry.name}: nothing works after`);
  return whole(seen).length;
}

/** A body shows only on its way that it is broken; the upstream is cut off then. */
function whole(seen: Seen[]): Seen[] {
  return seen.filter(({ complete }) => complete);
}

function check(
  t: Test,
  { name, reason }: Entry,
  expected: Expected,
  { answers }: RawOutcome,
  seen: Seen[],
): void {
  const found = {
    answers: answers.map(({ status, code }) => code ?? status),
    upstream: seen.map(({ line, auth, body }) => ({ line, auth, body })),
  };
  t.strictSame(found, wanted(expected), `${name} (${reason})`);
  for (const { status, code } of answers) {
    if (code && status !== ERROR_STATUS[code as ErrorCode]) t.fail(`${name}: ${status} ${code}`);
  }
}

function wanted(expected: Expected): object {
  if (expected === 'closed') return { answers: [], upstream: [] };
  if ('refused' in expected) return { answers: [expected.refused], upstream: [] };
  if ('own' in expected) return { answers: [expected.own], upstream: [] };
  const { forwarded, auth, body = '', status = 200 } = expected;
  return { answers: [status], upstream: [{ line: forwarded, auth, body }] };
}
