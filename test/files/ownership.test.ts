import { chownSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeFolder } from '../../src/files/ownership.ts';

const asRoot = process.geteuid?.() === 0 ? {} : { skip: 'needs root' };

t.test('makes a folder with its parents, for its owner alone', async (t) => {
  const folder = join(t.testdir({}), 'a', 'b', 'c');
  await makeFolder(folder);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  await makeFolder(folder);
});

t.test('a folder that cannot be made is an error, and no endless try', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  await t.rejects(makeFolder(join(file, 'below')), { code: 'ENOTDIR' });
  await t.rejects(makeFolder(file), { code: 'EEXIST' });
  if (existsSync('/proc/self')) {
    await t.rejects(makeFolder('/proc/nonexistent/state/deeper'), { code: 'ENOENT' });
  }
});

t.test('a folder that root makes belongs to the owner of the one above', asRoot, async (t) => {
  const home = t.testdir({});
  chownSync(home, 1234, 1235);
  await makeFolder(join(home, '.local', 'state', 'ours'));
  for (const name of ['.local', '.local/state', '.local/state/ours']) {
    const { uid, gid } = statSync(join(home, name));
    t.strictSame({ uid, gid }, { uid: 1234, gid: 1235 }, name);
  }
});
