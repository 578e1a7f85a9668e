import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';
import { refuses } from '../helpers/refusal.ts';

t.test('changes some fields and keeps the rest', async (t) => {
  const home = makeAuthHome(t, { later: [1], OPENAI_API_KEY: 'one' });
  const result = await home.store.transact(async (transaction) => {
    t.equal(transaction.current?.apiKey?.reveal(), 'one');
    await transaction.write({ OPENAI_API_KEY: 'two' });
    t.equal(transaction.current?.apiKey?.reveal(), 'two');
    await transaction.write({ last_refresh: 'now' });
    return 'result';
  });
  t.equal(result, 'result');
  t.strictSame(home.read(), { later: [1], OPENAI_API_KEY: 'two', last_refresh: 'now' });
  t.equal(statSync(home.path).mode & 0o777, 0o600);
  t.strictSame(readdirSync(home.folder), ['auth.json', 'auth.lock']);
});

t.test('what is written is on disk before write() is done', async (t) => {
  const home = makeAuthHome(t);
  await home.store.transact(async ({ write }) => {
    await write({ OPENAI_API_KEY: 'one' });
    t.strictSame(home.read(), { OPENAI_API_KEY: 'one' });
  });
});

t.test('makes the folder and the file, for their owner alone', async (t) => {
  const home = makeAuthHome(t);
  const folder = join(home.folder, 'new', 'codex');
  await new FileAuthStore(folder).transact(async ({ current, write }) => {
    t.equal(current, null);
    await write({ OPENAI_API_KEY: 'one' });
  });
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.equal(statSync(join(folder, 'auth.json')).mode & 0o777, 0o600);
});

t.test('a file that does not parse is never overwritten', async (t) => {
  const broken = '{"tokens":{"access_token":"hush"';
  const home = makeAuthHome(t, broken);
  let worked = false;
  const act = () =>
    home.store.transact(async ({ write }) => {
      worked = true;
      await write({ OPENAI_API_KEY: 'one' });
    });
  const message = 'auth.json: is not valid JSON; repair it, or move it away and sign in';
  await refuses(t, act, message, ['hush']);
  t.notOk(worked);
  t.equal(home.text(), broken);
});

t.test('a failed write leaves no temporary file, and the document as it was', async (t) => {
  const home = makeAuthHome(t);
  await home.store.transact(async (transaction) => {
    mkdirSync(home.path);
    await t.rejects(transaction.write({ OPENAI_API_KEY: 'one' }));
    t.equal(transaction.current, null);
  });
  t.strictSame(readdirSync(home.folder), ['auth.json', 'auth.lock']);
});

t.test('a failed work releases the lock', async (t) => {
  const home = makeAuthHome(t, {});
  await t.rejects(
    home.store.transact(async () => {
      throw new Error('stop');
    }),
    { message: 'stop' },
  );
  t.equal(await home.store.transact(async () => 'again'), 'again');
});
