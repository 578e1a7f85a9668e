import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { failOverBehind, failOverInStep, rotationOf, startPair } from './failovers.ts';
import { Fleet } from './fleet.ts';
import { openStore } from './open-store.ts';
import { WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

t.test('T4a: a failover to a synchronous standby loses nothing', WITH_POSTGRES, async (t) => {
  const { sentMeanwhile, reused, over } = await failOverInStep(t);
  t.equal(sentMeanwhile, 0, 'nothing is sent while no commit is confirmed');
  t.strictSame(reused, []);
  t.equal(over, 0);
});

t.test(
  'T4b: what a failover has lost is written back before anybody sends it',
  WITH_POSTGRES,
  async (t) => {
    const { rotationsLost, writtenBack, reused, over } = await failOverBehind(t);
    t.ok(rotationsLost > 0, `${rotationsLost} and more rotations were lost`);
    t.ok(writtenBack > 0);
    t.strictSame(reused, []);
    t.equal(over, 0);
  },
);

t.test(
  'T4c: what a failover has lost while every replica was restarted ends the login, in words',
  WITH_POSTGRES,
  async (t) => {
    const { fleet, wire, standby, urls } = await startPair(t);
    await fleet.untilMore(10);
    wire.cut();
    await sleep(1_000);
    const before = await rotationOf(fleet.postgres);
    await fleet.untilMore(10);
    await fleet.stop();
    for (const replica of [...fleet.replicas]) fleet.remove(replica);
    t.strictSame(fleet.reused, []);
    await fleet.postgres.stop('immediate');
    await standby.promote();
    t.ok(before > (await rotationOf(standby)), 'rotations were lost');

    const fresh = Array.from({ length: 3 }, () => fleet.add({ urls }));
    const overAll = (times: number) =>
      fleet.until(() => fresh.every(({ counts }) => counts.over >= times));
    await overAll(1);
    const sent = fleet.emulator.records.length;
    await overAll(5);
    t.equal(fleet.emulator.records.length, sent, 'and none of them asks again');
    const [token = '', ...others] = fleet.reused;
    t.strictSame(others, []);
    t.equal(fleet.sendersOf(token).length, 2, 'one of them tries, and only once');
    for (const { counts, messages } of fresh) {
      t.equal(counts.refreshed, 0);
      t.match([...messages].at(-1), /sign in again/);
    }

    const store = openStore({ urls, keyFile: fleet.keyFile, replica: 'operator' });
    t.teardown(() => store.close());
    await store.overwrite({ ...fleet.emulator.issueLogin().authJson });
    await fleet.untilMore(10);
    await fleet.stop();
    t.strictSame(fleet.reused, [token], 'a new login is used by all of them');
  },
);

for (const how of ['cancel', 'terminate']) {
  t.test(
    `T8: a commit that is not confirmed (${how}) announces nothing`,
    WITH_POSTGRES,
    async (t) => {
      const fleet = await Fleet.start(t);
      const { postgres, keyFile } = fleet;
      const store = openStore({ urls: postgres.url(), keyFile, replica: 'waiting' });
      t.teardown(() => store.close());
      await store.load();
      // Until then nobody announces anything.
      await sleep(1_100);
      await postgres.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
      await postgres.sql('SELECT pg_reload_conf()');
      const announcing = store.transact(({ announce }) =>
        announce({ kind: 'refresh', tokenIsOver: true }),
      );
      const end = `SELECT pg_${how}_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
      const ended = (async () => {
        while ((await postgres.sql(end)).length === 0) await sleep(20);
      })();
      await t.rejects(announcing, { code: 'AUTH_STORE_UNAVAILABLE' });
      await ended;
      const attempts = async () => {
        const [row] = await postgres.sql('SELECT attempts FROM codex_auth_sidecar.login');
        return row?.attempts;
      };
      t.match(
        await attempts(),
        { refresh: { by: 'waiting', ended: null } },
        'it is there all the same',
      );
      await postgres.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
      await postgres.sql('SELECT pg_reload_conf()');
      while (
        await store.load().then(
          () => false,
          () => true,
        )
      )
        await sleep(50);
      t.strictSame(await attempts(), {}, 'and is taken out, since nothing was sent under it');
    },
  );
}
