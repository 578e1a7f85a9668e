import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { problemsOf } from '../../src/auth-store/file-problems.ts';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { Home } from '../helpers/sidecar-with-clock.ts';

const LOGIN = { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-old', extra: { a: [1, null] } };
const NEXT = { OPENAI_API_KEY: 'sk-new' };

const write = (store: FileAuthStore) => store.transact((transaction) => transaction.write(NEXT));

t.test('a write keeps unknown fields and takes the file mode 0600', async (t) => {
  const home = new Home(t);
  writeFileSync(home.path, JSON.stringify(LOGIN), { mode: 0o644 });
  const store = new FileAuthStore(home.folder);
  t.match(await problemsOf(home.path), [{ problem: 'can be read by other users' }]);
  await write(store);
  t.strictSame(home.read(), { ...LOGIN, ...NEXT });
  t.equal(statSync(home.path).mode & 0o777, 0o600);
  t.strictSame(await problemsOf(home.path), []);
  t.strictSame(readdirSync(home.folder).sort(), ['auth.json', 'auth.lock']);
});

t.test('a symbolic link stays one, and its target is replaced', async (t) => {
  const home = new Home(t);
  const target = join(home.folder, 'elsewhere', 'login.json');
  mkdirSync(join(home.folder, 'elsewhere'));
  symlinkSync('elsewhere/login.json', home.path);
  const store = new FileAuthStore(home.folder);
  await store.transact((transaction) => transaction.write(LOGIN));
  t.equal(readlinkSync(home.path), 'elsewhere/login.json', 'also when nothing was there yet');
  await write(store);
  t.equal(lstatSync(home.path).isSymbolicLink(), true);
  t.match(JSON.parse(readFileSync(target, 'utf8')), NEXT);
});

t.test('a hard link is cut: the other name keeps the old content', async (t) => {
  const home = new Home(t);
  home.write(LOGIN);
  const other = join(home.folder, 'other');
  linkSync(home.path, other);
  const store = new FileAuthStore(home.folder);
  t.match(await problemsOf(home.path), [{ problem: /^has hard links/ }]);
  await write(store);
  t.match(home.read(), NEXT);
  t.strictSame(JSON.parse(readFileSync(other, 'utf8')), LOGIN);
  t.strictSame(await problemsOf(home.path), []);
});

t.test(
  'what a killed process left behind is removed, what another just began is not',
  async (t) => {
    const home = new Home(t);
    home.write(LOGIN);
    const old = join(home.folder, '.auth.json.0123456789ab');
    const young = join(home.folder, '.auth.json.ba9876543210');
    const foreign = join(home.folder, '.auth.json.backup');
    for (const path of [old, young, foreign]) writeFileSync(path, 'token');
    const past = new Date(Date.now() - 120_000);
    for (const path of [old, foreign]) utimesSync(path, past, past);
    await write(new FileAuthStore(home.folder));
    t.strictSame([old, young, foreign].map(existsSync), [false, true, true]);
  },
);

t.test('text that is not JSON is never overwritten', async (t) => {
  const home = new Home(t);
  writeFileSync(home.path, '{"tokens": ');
  const store = new FileAuthStore(home.folder);
  await t.rejects(write(store), { code: 'AUTH_CREDENTIAL_INVALID' });
  await t.rejects(store.overwrite(NEXT), { code: 'AUTH_CREDENTIAL_INVALID' });
  t.equal(home.text(), '{"tokens": ');
});

t.test('what could not be read back is not written', async (t) => {
  const home = new Home(t);
  home.write(LOGIN);
  const store = new FileAuthStore(home.folder);
  const wrong = { OPENAI_API_KEY: 'two words' };
  await t.rejects(
    store.transact((transaction) => transaction.write(wrong)),
    { code: 'AUTH_CREDENTIAL_INVALID' },
  );
  t.strictSame(home.read(), LOGIN);
});

t.test('mend changes a document that cannot be used', async (t) => {
  const home = new Home(t);
  home.write({ auth_mode: 'bedrockApiKey', extra: 1 });
  const store = new FileAuthStore(home.folder);
  await t.rejects(write(store), { code: 'AUTH_CREDENTIAL_INVALID' });
  await store.overwrite({ ...LOGIN, extra: undefined });
  t.match(home.read(), { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-old' });
});
