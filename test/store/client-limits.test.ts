import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { grantSql, USAGE_TABLE } from '../../src/auth-store/postgres-schema.ts';
import { parseServers } from '../../src/auth-store/postgres-url.ts';
import { PostgresUsage } from '../../src/auth-store/postgres-usage.ts';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import { dayOf } from '../../src/clients/daily-tokens.ts';
import { headersOf, makeClientsFile } from '../helpers/clients.ts';
import { send } from '../helpers/exchange.ts';
import { makeFile } from '../helpers/program.ts';
import { makeFolder, RESPONSES, startTestSidecar } from '../helpers/sidecar.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

t.test('the counts of clients in a database', WITH_POSTGRES, async (t) => {
  const postgres = await Postgres.start(t);
  await postgres.sql('CREATE ROLE sidecar LOGIN');
  await postgres.sql(grantSql('sidecar'));
  const today = dayOf(Date.now());
  const open = (name = 'default') => {
    const servers = parseServers(postgres.url(postgres.port, 'sidecar'));
    const usage = new PostgresUsage({ name, servers: async () => servers, ca: null });
    t.teardown(() => usage.close());
    return usage;
  };
  const row = { client: 'ci', input: 100, output: 10, requests: 3, streams: 1 };

  await t.test(
    'each sees the sum of the others, and a write repeated changes nothing',
    async (t) => {
      const [a, b, c, other] = [open(), open(), open(), open('another-login')];
      t.strictSame(await a.share(today, [row, { ...row, client: 'dns:x "y"' }]), []);
      await a.share(today, [row]);
      await b.share(today, [{ ...row, input: 9_000_000_000_000 }]);
      const [seen] = (await c.share(today, [])).filter(({ client }) => client === 'ci');
      t.strictSame(seen, {
        client: 'ci',
        input: 9_000_000_000_100,
        output: 20,
        requests: 6,
        streams: 2,
      });
      t.strictSame(await c.share(today + 1, []), [], 'another day');
      t.strictSame(await other.share(today, []), [], 'another login');
    },
  );

  await t.test('whoever is silent is not busy any more, but has used its tokens', async (t) => {
    await postgres.sql(`UPDATE ${USAGE_TABLE} SET written_at = written_at - interval '2 minutes'`);
    const seen = (await open().share(today, [])).find(({ client }) => client === 'ci');
    t.match(seen, { output: 20, requests: 0, streams: 0 });
  });

  await t.test('what is old is removed', async (t) => {
    await postgres.sql(`UPDATE ${USAGE_TABLE} SET written_at = written_at - interval '4 days'`);
    await open().forget();
    const [left] = await postgres.sql(`SELECT count(*)::int AS rows FROM ${USAGE_TABLE}`);
    t.equal(left?.rows, 0);
  });

  await t.test('two sidecars hold a client to one limit', async (t) => {
    const { path } = await makeClientsFile(t, { a: 'output-tokens=50' });
    const folder = await makeFolder(t);
    const keyFile = join(folder, 'key.json');
    await writeFile(keyFile, await KeyRing.generate(), { mode: 0o600 });
    const url = await makeFile(t, 'url', postgres.url(postgres.port, 'sidecar'));
    const start = (usage = {}) =>
      startTestSidecar(t, {
        codexHome: folder,
        env: { SIDECAR_STORE_URL_FILE: url },
        config: { store: { kind: 'postgres', keyFile }, clients: { tokensFile: path }, usage },
      });
    await t.rejects(start({ file: join(folder, 'counters') }), {
      message:
        'usage.file is set and store.kind is "postgres", where all sidecars count together; set usage.file to null',
    });
    const [first, second] = [await start(), await start()];
    const ask = (base: string) =>
      send(base + RESPONSES, { headers: headersOf('a'), body: '{"model":"m"}' });
    t.equal((await ask(second.url)).headers['x-sidecar-error'], 'AUTH_NOT_CONFIGURED', 'let in');
    first.sidecar.counters.addTokens('a', { input: 1, output: 50 }, Date.now());
    // A stop tells the others at once; otherwise it may take fifteen seconds.
    await first.sidecar.stop();
    const third = await start();
    while ((await ask(third.url)).status !== 429) await sleep(20);
    t.match(JSON.parse((await ask(third.url)).text), { error: { code: 'AUTH_CLIENT_LIMIT' } });
  });

  await t.test('a table or a right that is missing is named with its remedy', async (t) => {
    const remedy = /run "codex-auth-sidecar store init" of this version once more/;
    await postgres.sql(`REVOKE INSERT ON ${USAGE_TABLE} FROM sidecar`);
    await t.rejects(open().share(today, [row]), { message: remedy });
    await postgres.sql(`DROP TABLE ${USAGE_TABLE}`);
    await t.rejects(open().share(today, [row]), { message: remedy });
    await t.rejects(open().share(today, [row]), { message: /the table .*usage is missing/ });
  });
});
