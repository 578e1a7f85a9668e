import t from 'tap';
import { Fleet } from './fleet.ts';
import { startPooler, WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);
const REPLICAS = 3;

/** Lets replicas refresh until so many refreshes have been made. */
async function refresh(fleet: Fleet, count: number, urls?: string): Promise<void> {
  for (let i = 0; i < REPLICAS; i++) fleet.add(urls === undefined ? {} : { urls });
  await fleet.until(() => fleet.refreshed >= count);
  await fleet.stop();
}

t.test(
  'T1: three processes refresh 2,000 times, and send no token twice',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    await refresh(fleet, 2_000);
    t.strictSame(fleet.reused, []);
    const [row] = await fleet.postgres.sql(
      'SELECT version, rotation FROM codex_auth_sidecar.login',
    );
    const { version, rotation } = {
      version: Number(row?.version),
      rotation: Number(row?.rotation),
    };
    t.equal(rotation, fleet.refreshed, 'every token set that was sent is in the store');
    t.equal(fleet.emulator.counts().refreshUses.size, rotation);
    t.ok(version >= 2 * rotation + 1, 'each with an announcement before it');
    t.ok(version <= 2.02 * rotation + 1, `and next to nothing beside that: ${version}`);
    for (const { counts } of fleet.replicas) {
      t.ok(counts.refreshed > 0, 'each of them has its turn');
      t.equal(counts.failed + counts.over, 0);
    }
  },
);

t.test('T9: through PgBouncer in transaction mode', WITH_POSTGRES, async (t) => {
  const fleet = await Fleet.start(t);
  const port = await startPooler(t, fleet.postgres);
  await refresh(fleet, 1_000, fleet.postgres.url(port));
  t.strictSame(fleet.reused, []);
  const [row] = await fleet.postgres.sql('SELECT rotation FROM codex_auth_sidecar.login');
  t.equal(Number(row?.rotation), fleet.refreshed);
});
