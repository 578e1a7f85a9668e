import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import type { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { type CapturedLog, captureLog } from '../helpers/captured-log.ts';
import { Fleet } from './fleet.ts';
import { openStore } from './open-store.ts';
import { WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

const TABLE = 'codex_auth_sidecar.login';

function open(t: Test, fleet: Fleet, name = 'default'): SharedAuthStore {
  const { postgres, keyFile } = fleet;
  const store = openStore({ urls: postgres.url(), keyFile, name, replica: 'reader' });
  t.teardown(() => store.close());
  return store;
}

async function refreshToken(store: SharedAuthStore): Promise<string | undefined> {
  return (await store.load())?.tokens?.refreshToken?.reveal();
}

t.test('T12: keys are exchanged while three replicas refresh', WITH_POSTGRES, async (t) => {
  const fleet = await Fleet.start(t);
  for (let i = 0; i < 3; i++) fleet.add();
  const refresh = async () => {
    const { refreshed } = fleet;
    await fleet.until(() => fleet.refreshed >= refreshed + 20);
  };
  await refresh();

  const { keys: old } = JSON.parse(await readFile(fleet.keyFile, 'utf8'));
  const { keys: fresh } = JSON.parse(await KeyRing.generate());
  for (const keys of [[...old, ...fresh], [...fresh, ...old], fresh]) {
    await writeFile(fleet.keyFile, JSON.stringify({ keys }));
    await refresh();
  }
  await fleet.stop();
  t.strictSame(fleet.reused, []);
  for (const { counts, messages } of fleet.replicas) {
    t.equal(counts.failed + counts.over, 0, [...messages].join());
  }
  await fleet.store.load();
  t.match(fleet.store.status(), { keyId: fresh[0].kid.slice(0, 8) });
});

t.test(
  'T12: an older row, as from a dump, is written back by whoever knows better',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    await fleet.postgres.sql(`CREATE TABLE dump AS SELECT * FROM ${TABLE}`);
    const replica = fleet.add();
    await fleet.until(() => fleet.refreshed >= 3);
    await replica.stop();
    const store = open(t, fleet);
    const newest = await refreshToken(store);
    await fleet.postgres.sql(`DELETE FROM ${TABLE}; INSERT INTO ${TABLE} SELECT * FROM dump`);
    t.equal(await refreshToken(store), newest);
    t.match(store.status(), { writtenBack: 1, rotation: await fleet.rotation() });
    t.equal(await refreshToken(open(t, fleet)), newest, 'and those who did not know have it');
  },
);

t.test(
  'T12: a sign-in into a restored database is newer than what others remember',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    const living = open(t, fleet);
    await living.load();
    const { login } = living.status() as { login: number };
    await fleet.postgres.sql(`DELETE FROM ${TABLE}`);
    // Sign-ins are told apart by the second.
    while (Date.now() / 1000 < login + 1) await sleep(50);
    const { authJson } = fleet.emulator.issueLogin();
    await open(t, fleet).overwrite({ ...authJson });
    t.equal(await refreshToken(living), authJson.tokens.refresh_token);
    t.match(living.status(), { writtenBack: 0 });
  },
);

t.test(
  'T12: what somebody without a key has written is refused, and not written over',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    const other = open(t, fleet, 'other');
    await other.overwrite({ ...fleet.emulator.issueLogin().authJson });
    const forgeries: [sql: string, message: RegExp][] = [
      [
        `sealed = (SELECT sealed FROM ${TABLE} WHERE name = 'other'), login = (SELECT login FROM ${TABLE} WHERE name = 'other')`,
        /is not the one of this row: its name differs; somebody wrote to the table who has no key/,
      ],
      ['rotation = rotation + 7', /its rotation differs/],
      ["sealed = 'no JWE'", /store\.keyFile has no key/],
      ["sealed = overlay(sealed placing 'AAAA' from 400)", /was altered/],
      ['format = 2', /has format 2, this program knows 1; update this sidecar/],
    ];
    await fleet.postgres.sql(
      `CREATE TABLE before AS SELECT * FROM ${TABLE} WHERE name = 'default'`,
    );
    for (const [sql, message] of forgeries) {
      await fleet.postgres.sql(`DELETE FROM ${TABLE} WHERE name = 'default'`);
      await fleet.postgres.sql(`INSERT INTO ${TABLE} SELECT * FROM before`);
      await fleet.postgres.sql(`UPDATE ${TABLE} SET ${sql} WHERE name = 'default'`);
      const [row] = await fleet.postgres.sql(`SELECT * FROM ${TABLE} WHERE name = 'default'`);
      const store = open(t, fleet);
      await t.rejects(store.load(), { code: 'AUTH_STORE_UNAVAILABLE', message }, sql);
      await t.rejects(store.overwrite({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk-x' }), {
        message,
      });
      const [after] = await fleet.postgres.sql(`SELECT * FROM ${TABLE} WHERE name = 'default'`);
      t.strictSame(after, row);
    }
  },
);

t.test(
  'two sidecars of one name are told, and a restarted one is not',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    const { postgres, keyFile } = fleet;
    const named = (captured: CapturedLog) => {
      const { log } = captured;
      const store = openStore({ urls: postgres.url(), keyFile, replica: 'a', log });
      t.teardown(() => store.close());
      return store;
    };
    const [first, second] = [captureLog(), captureLog()];
    const before = named(first);
    await before.overwrite({ extra: 1 });
    const after = named(second);
    await after.load();
    await after.overwrite({ extra: 2 });
    t.strictSame(second.warnings(), []);
    await before.load();
    await after.overwrite({ extra: 3 });
    await before.load();
    t.strictSame(first.warnings(), [
      'another sidecar calls itself a; give each a store.replica of its own',
    ]);
  },
);

t.test('a removed row takes the credential away', WITH_POSTGRES, async (t) => {
  const fleet = await Fleet.start(t);
  const store = open(t, fleet);
  t.ok(await store.load());
  await fleet.postgres.sql(`DELETE FROM ${TABLE}`);
  t.equal(await store.load(), null);
  const [row] = await fleet.postgres.sql(`SELECT count(*) FROM ${TABLE}`);
  t.equal(Number(row?.count), 0);
});

t.test('what is wrong with a login in the row is said of the store', WITH_POSTGRES, async (t) => {
  const fleet = await Fleet.start(t);
  const store = open(t, fleet);
  await store.overwrite({ tokens: { access_token: 7 } });
  await t.rejects(store.load(), {
    code: 'AUTH_CREDENTIAL_INVALID',
    message: 'the shared store tokens.access_token: must be a string',
  });
});
