import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { replaceFile } from '../../src/files/replace-file.ts';

t.test('puts a new file in place of the old one, for its owner alone', async (t) => {
  const folder = t.testdir({ 'auth.json': 'old' });
  const path = join(folder, 'auth.json');
  chmodSync(path, 0o644);
  const before = statSync(path).ino;
  await replaceFile(path, 'new');
  t.equal(readFileSync(path, 'utf8'), 'new');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.not(statSync(path).ino, before, 'renamed, not rewritten');
  t.strictSame(readdirSync(folder), ['auth.json']);
});

t.test('makes a file that was not there', async (t) => {
  const folder = t.testdir({});
  await replaceFile(join(folder, 'auth.json'), 'new');
  t.equal(statSync(join(folder, 'auth.json')).mode & 0o777, 0o600);
});

t.test('follows a link and keeps it', async (t) => {
  const folder = t.testdir({ home: {}, real: { 'stored.json': 'old' } });
  const link = join(folder, 'home', 'auth.json');
  symlinkSync('../real/stored.json', link);
  await replaceFile(link, 'new');
  t.ok(lstatSync(link).isSymbolicLink());
  t.equal(readlinkSync(link), '../real/stored.json');
  t.equal(readFileSync(join(folder, 'real', 'stored.json'), 'utf8'), 'new');
  t.strictSame(readdirSync(join(folder, 'home')), ['auth.json']);
  t.strictSame(readdirSync(join(folder, 'real')), ['stored.json']);
});

t.test('a failure leaves the old file and no other', async (t) => {
  const folder = t.testdir({});
  const path = join(folder, 'auth.json');
  mkdirSync(path);
  writeFileSync(join(path, 'inside'), 'old');
  await t.rejects(replaceFile(path, 'new'));
  t.strictSame(readdirSync(folder), ['auth.json']);
  t.equal(readFileSync(join(path, 'inside'), 'utf8'), 'old');
  await t.rejects(replaceFile(join(folder, 'none', 'auth.json'), 'new'), { code: 'ENOENT' });
});
