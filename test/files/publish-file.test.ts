import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { publishFile } from '../../src/files/publish-file.ts';
import { makeFolder } from '../helpers/program.ts';

t.test('a reader that asks all the time never sees a part', async (t) => {
  const path = join(t.testdir({}), 'info.json');
  const texts = ['a'.repeat(20_000), 'b'.repeat(10_000)];
  let done = false;
  const writing = (async () => {
    for (let i = 0; i < 100; i++) await publishFile(path, texts[i % 2] ?? '');
    done = true;
  })();
  const seen = new Set<string>();
  while (!done) {
    await nextTurn();
    try {
      seen.add(readFileSync(path, 'utf8'));
    } catch (error) {
      t.match(error, { code: 'ENOENT' });
      t.equal(seen.size, 0, 'only before the first one');
    }
  }
  await writing;
  t.strictSame([...seen].sort(), texts);
});

t.test('a new file has the mode that the umask gives', async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, 'usual'), '');
  await publishFile(join(folder, 'new'), 'text');
  t.equal(statSync(join(folder, 'new')).mode, statSync(join(folder, 'usual')).mode);
  t.strictSame(readdirSync(folder), ['new', 'usual']);
});

t.test('an old file keeps its mode, and a link its target', async (t) => {
  const folder = t.testdir({ real: { info: 'old and longer' } });
  const path = join(folder, 'real', 'info');
  chmodSync(path, 0o640);
  symlinkSync('real/info', join(folder, 'link'));
  await publishFile(join(folder, 'link'), 'new');
  t.equal(readlinkSync(join(folder, 'link')), 'real/info');
  t.equal(readFileSync(path, 'utf8'), 'new');
  t.equal(statSync(path).mode & 0o777, 0o640);
  t.strictSame(readdirSync(join(folder, 'real')), ['info']);
});

t.test('a pipe is written, and stays one', async (t) => {
  const path = join(t.testdir({}), 'pipe');
  execFileSync('mkfifo', [path]);
  const [text] = await Promise.all([readFile(path, 'utf8'), publishFile(path, 'text')]);
  t.equal(text, 'text');
  t.ok(statSync(path).isFIFO());
});

t.test('a file that may not be written is not replaced, although its folder may be', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'info');
  writeFileSync(path, 'of somebody else');
  chmodSync(path, 0o444);
  chmodSync(folder, 0o777);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    await t.rejects(publishFile(path, 'text'), { code: 'EACCES' });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
  t.equal(readFileSync(path, 'utf8'), 'of somebody else');
});

t.test('a folder, and a file in none', async (t) => {
  const folder = t.testdir({ info: {} });
  await t.rejects(publishFile(join(folder, 'info'), 'text'), { code: 'EISDIR' });
  await t.rejects(publishFile(join(folder, 'none', 'info'), 'text'), { code: 'ENOENT' });
  t.strictSame(readdirSync(folder), ['info']);
});
