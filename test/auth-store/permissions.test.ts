import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ownerProblems, problemsOf } from '../../src/auth-store/file-problems.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';

t.test('knows whether other users can read the file', async (t) => {
  const home = makeAuthHome(t);
  t.strictSame(await problemsOf(home.path), [], 'no file');
  home.write('{}');
  for (const [mode, readable] of [
    [0o600, false],
    [0o400, false],
    [0o700, false],
    [0o640, true],
    [0o604, true],
    [0o644, true],
  ] as const) {
    chmodSync(home.path, mode);
    const found = (await problemsOf(home.path)).map(({ problem }) => problem);
    t.strictSame(found, readable ? ['can be read by other users'] : [], mode.toString(8));
  }
});

t.test('owners that differ are named', async (t) => {
  t.strictSame(ownerProblems({ uid: 1000 }, { uid: 1000 }, 1000), []);
  t.strictSame(ownerProblems({ uid: 1000 }, { uid: 1000 }, 0), [], 'root may work for others');
  t.match(ownerProblems({ uid: 0 }, { uid: 1000 }, 0), [
    { problem: 'belongs to user 0 and its folder to user 1000' },
  ]);
  t.match(ownerProblems({ uid: 1000 }, { uid: 1000 }, 1001), [
    { problem: 'belongs to user 1000, and this is user 1001' },
  ]);
  t.strictSame(ownerProblems({ uid: 0 }, { uid: 0 }, undefined), [], 'no user ids, no problem');
});

const isRoot = process.geteuid?.() === 0;
const asRoot = isRoot ? {} : { skip: 'needs root' };

t.test('what root makes in the folder of a user belongs to that user', asRoot, async (t) => {
  const home = makeAuthHome(t);
  chownSync(home.folder, 1234, 1234);
  const write = () =>
    home.store.transact((transaction) => transaction.write({ OPENAI_API_KEY: 'sk-new' }));
  await write();
  const ownerOf = (name: string) => {
    const { uid, gid, mode } = statSync(join(home.folder, name));
    return { uid, gid, mode: (mode & 0o777).toString(8) };
  };
  const mine = { uid: 1234, gid: 1234, mode: '600' };
  t.strictSame(ownerOf('auth.json'), mine, 'a new file');
  t.strictSame(ownerOf('auth.lock'), mine, 'the lock');
  await write();
  t.strictSame(ownerOf('auth.json'), mine, 'a replaced file');
  chownSync(home.path, 1234, 4321);
  await write();
  t.strictSame(ownerOf('auth.json'), { ...mine, gid: 4321 }, 'the group of the file stays');
});

const canMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0;
const inMountNamespace = canMount ? {} : { skip: 'needs root and mount namespaces' };

t.test('a file mounted by itself is written in place, and named', inMountNamespace, async (t) => {
  const folder = t.testdir({ home: { 'auth.json': '{}' }, host: {} });
  const long = JSON.stringify({ OPENAI_API_KEY: 'sk-old', filler: 'x'.repeat(9000) });
  writeFileSync(join(folder, 'host', 'auth.json'), long, { mode: 0o600 });
  chmodSync(join(folder, 'home', 'auth.json'), 0o600);
  const modules = new URL('../../src/', import.meta.url).href;
  const script = `
    const { FileAuthStore } = await import('${modules}auth-store/file-store.js');
    const { problemsOf } = await import('${modules}auth-store/file-problems.js');
    const store = new FileAuthStore('${join(folder, 'home')}');
    console.log(JSON.stringify(await problemsOf(store.location)));
    await store.transact((transaction) => transaction.write({ OPENAI_API_KEY: 'sk-new', filler: undefined }));
    await store.transact((transaction) => transaction.write({ more: 'y'.repeat(5000) }));
  `;
  const out = execFileSync('unshare', [
    '-m',
    'sh',
    '-c',
    'mount --bind "$0/host/auth.json" "$0/home/auth.json" && exec "$1" --input-type=module -e "$2"',
    folder,
    process.execPath,
    script,
  ]);
  t.match(JSON.parse(out.toString()), [{ problem: /^is mounted by itself/ }]);
  const stored = JSON.parse(readFileSync(join(folder, 'host', 'auth.json'), 'utf8'));
  t.strictSame(stored, { OPENAI_API_KEY: 'sk-new', more: 'y'.repeat(5000) });
});

t.test('hard links are named', async (t) => {
  const home = makeAuthHome(t);
  home.write('{}');
  mkdirSync(join(home.folder, 'other'));
  chmodSync(home.path, 0o600);
  linkSync(home.path, join(home.folder, 'other', 'auth.json'));
  t.match(await problemsOf(home.path), [{ problem: /^has hard links/ }]);
});
