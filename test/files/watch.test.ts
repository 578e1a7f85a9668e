import { once } from 'node:events';
import { watch } from 'node:fs';
import { rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { namesIn, watchPath } from '../../src/files/watch.ts';

t.test('the names that a look at a file depends on', async (t) => {
  const folder = t.testdir({
    'plain.json': '',
    'linked.json': t.fixture('symlink', 'plain.json'),
    'chain.json': t.fixture('symlink', 'linked.json'),
    'mounted.json': t.fixture('symlink', '..data/mounted.json'),
    '..data': t.fixture('symlink', '..2026_1'),
    '..2026_1': { 'mounted.json': '' },
    'outside.json': t.fixture('symlink', '/etc/hostname'),
    'circle.json': t.fixture('symlink', 'circle.json'),
  });
  const names = (name: string) => [...namesIn(folder, join(folder, name))].sort();
  t.strictSame(names('plain.json'), ['plain.json']);
  t.strictSame(names('missing.json'), ['missing.json']);
  t.strictSame(names('linked.json'), ['linked.json', 'plain.json']);
  t.strictSame(names('chain.json'), ['chain.json', 'linked.json', 'plain.json']);
  t.strictSame(names('mounted.json'), ['..2026_1', '..data', 'mounted.json']);
  t.strictSame(names('outside.json'), ['outside.json']);
  t.strictSame(names('circle.json'), ['circle.json']);
});

/** Watches `name` in a new folder, and gives the calls; the timer keeps the process alive. */
function watched(t: Test, folder: string, name: string) {
  let calls = 0;
  let wake: () => void = () => undefined;
  const stop = watchPath(join(folder, name), folder, () => {
    calls++;
    wake();
  });
  const alive = setInterval(() => undefined, 60_000);
  t.teardown(() => {
    clearInterval(alive);
    stop();
  });
  return {
    calls: () => calls,
    called: () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      }),
  };
}

t.test('only what concerns the file wakes its watcher', async (t) => {
  const folder = t.testdir({ 'auth.json': '1' });
  const { calls, called } = watched(t, folder, 'auth.json');
  // The events of a folder come in order, so the last of these was seen when ours is.
  const seen = watch(folder);
  for (const name of ['history.jsonl', 'auth.lock', '.auth-XYZ', 'auth.json.bak', 'log']) {
    const event = once(seen, 'change');
    await writeFile(join(folder, name), 'x');
    await event;
  }
  seen.close();
  const call = called();
  await writeFile(join(folder, 'auth.json'), '2');
  await call;
  t.equal(calls(), 1);
});

t.test('a file that is replaced, or whose link is turned, wakes it', async (t) => {
  const folder = t.testdir({ 'auth.json': '1', other: '2' });
  const { called } = watched(t, folder, 'auth.json');
  const replaced = called();
  await rename(join(folder, 'other'), join(folder, 'auth.json'));
  await replaced;
  const linked = called();
  await writeFile(join(folder, 'real'), '3');
  await symlink('real', join(folder, 'link'));
  await rename(join(folder, 'link'), join(folder, 'auth.json'));
  await linked;
  const rewritten = called();
  await writeFile(join(folder, 'real'), '4');
  await rewritten;
  t.pass('each was noticed');
});
