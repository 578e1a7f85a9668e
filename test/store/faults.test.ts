import t from 'tap';
import { restartEngine } from './faults.ts';
import { killReplicas } from './kills.ts';
import { cutHolder, stopHolder } from './pauses.ts';
import { WITH_POSTGRES } from './postgres.ts';

t.setTimeout(180_000);

t.test(
  'T2: kill -9 at random: a login is lost by a death in the middle only',
  WITH_POSTGRES,
  async (t) => {
    const { refreshed, lost, explained, unexplained } = await killReplicas(t, 10);
    t.strictSame(unexplained, []);
    t.equal(lost, explained, 'each with one try again, not one for each replica');
    t.ok(refreshed >= 50);
  },
);

t.test('T3: the database restarts, and no login is lost', WITH_POSTGRES, async (t) => {
  t.match(await restartEngine(t, 4), { lost: 0, unexplained: [] });
});

t.test('T5: a replica that is cut off keeps its response', WITH_POSTGRES, async (t) => {
  t.match(await cutHolder(t, 2), { lost: 0, unexplained: [] });
});

t.test('T6: a replica that stands still keeps its response', WITH_POSTGRES, async (t) => {
  t.match(await stopHolder(t, 2), { lost: 0, unexplained: [] });
});
