import { mkdir, readdir, readFile, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CountersFile, checkCountersFile } from '../../src/clients/counters-file.ts';
import { DailyTokens, dayOf } from '../../src/clients/daily-tokens.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { makeFile, makeFolder } from '../helpers/program.ts';

const NOW = Date.parse('2026-11-27T21:03:04Z');
const TODAY = dayOf(NOW);

/** A file, with a timer in the hands of the test. */
async function start(t: Test, path: string) {
  const tokens = new DailyTokens();
  const log = captureLog();
  const timers: (() => void)[] = [];
  const schedule = (_ms: number, task: () => void) => {
    timers.push(task);
    return () => void timers.splice(timers.indexOf(task), 1);
  };
  const deps = { tokens, log: log.log, now: NOW, schedule };
  const file = await CountersFile.open(path, deps);
  t.teardown(() => file.close());
  return { tokens, timers, file, log };
}

const pathOf = async (t: Test) => join(await makeFolder(t), 'counters');
const read = async (path: string) => JSON.parse(await readFile(path, 'utf8'));

t.test('what was used is there after a restart, for its own day', async (t) => {
  const path = await pathOf(t);
  const first = await start(t, path);
  first.tokens.add('ci', { input: 100, output: 7 }, TODAY);
  first.tokens.add('ci', { input: 1, output: 2 }, TODAY - 1);
  await first.file.close();
  t.strictSame(await read(path), {
    version: 1,
    days: {
      '2026-11-27': { ci: { input: 100, output: 7 } },
      '2026-11-26': { ci: { input: 1, output: 2 } },
    },
  });
  t.equal((await stat(path)).mode & 0o777, 0o600);
  const second = await start(t, path);
  t.strictSame(second.tokens.of('ci', TODAY), { input: 100, output: 7 });
  t.strictSame(second.tokens.of('ci', TODAY + 1), { input: 0, output: 0 });
});

t.test('many changes are one write, and no change is none', async (t) => {
  const path = await pathOf(t);
  const { tokens, timers, file } = await start(t, path);
  for (let i = 0; i < 100; i++) tokens.add('ci', { input: 1, output: 1 }, TODAY);
  t.equal(timers.length, 1);
  t.strictSame(await read(path), { version: 1, days: {} }, 'not yet');
  timers[0]?.();
  tokens.add('ci', { input: 1, output: 1 }, TODAY);
  t.equal(timers.length, 1, 'armed again');
  await file.close();
  t.equal((await read(path)).days['2026-11-27'].ci.input, 101);
});

t.test('a broken file is kept aside, said, and counting starts anew', async (t) => {
  const day = '"2026-11-27"';
  for (const text of [
    '',
    'hush',
    '[]',
    '{"version":2,"days":{}}',
    '{"version":1}',
    `{"version":1,"days":{${day}:[]}}`,
    `{"version":1,"days":{${day}:{"ci":{"input":"7","output":1}}}}`,
    `{"version":1,"days":{${day}:{"ci":{"input":-1,"output":1}}}}`,
    `{"version":1,"days":{${day}:{"ci":{"input":1e300,"output":1}}}}`,
    '{"version":1,"days":{"2026-02-30":{}}}',
    '{"version":1,"days":{"today":{}}}',
  ]) {
    const path = await pathOf(t);
    await writeFile(path, text);
    const { tokens, log } = await start(t, path);
    t.equal(tokens.days.size, 0, text);
    const aside = `${path}.broken-20261127T210304Z`;
    t.equal(await readFile(aside, 'utf8'), text);
    const said = `usage.file: ${path} cannot be read as counts; it is kept as ${aside}, and counting starts anew`;
    t.ok(log.text().includes(said), said);
    t.strictSame(await read(path), { version: 1, days: {} });
  }
});

t.test(
  'two processes with one file: the second is refused, until the first has ended',
  async (t) => {
    const path = await pathOf(t);
    const first = await start(t, path);
    await t.rejects(start(t, path), {
      name: 'ConfigError',
      message: `usage.file: ${path} is in use by another sidecar; name another file`,
    });
    const link = join(await makeFolder(t), 'other-name');
    await symlink(path, link);
    await t.rejects(start(t, link), { message: /other-name is in use by another sidecar/ });
    await first.file.close();
    await start(t, path);
  },
);

t.test('a file that cannot be read or written stops the start', async (t) => {
  const folder = await makeFolder(t);
  const directory = join(folder, 'directory');
  await mkdir(directory);
  const cases: [string, RegExp][] = [
    [directory, /^usage\.file: cannot read .*directory \(EISDIR\)$/],
    [join(folder, 'absent', 'counters'), /^usage\.file: cannot write .*counters \(ENOENT\)$/],
  ];
  for (const [path, message] of cases) {
    await t.rejects(start(t, path), { name: 'ConfigError', message });
    await t.rejects(checkCountersFile(path), { name: 'ConfigError', message });
  }
  const fresh = join(folder, 'fresh');
  await checkCountersFile(fresh);
  t.notOk((await readdir(folder)).includes('fresh'), 'the check makes no file');
});

t.test('where there can be no lock it goes on, and says so', async (t) => {
  const path = await makeFile(t, 'counters', '{"version":1,"days":{}}');
  await mkdir(`${path}.lock`);
  const { log } = await start(t, path);
  const said = `cannot open ${path}.lock (EISDIR); start no other sidecar with the usage.file ${path}`;
  t.ok(log.text().includes(said));
});

t.test('a write that fails is said once, and tried again with the next change', async (t) => {
  const path = await pathOf(t);
  const { tokens, timers, file, log } = await start(t, path);
  const use = async () => {
    tokens.add('ci', { input: 1, output: 0 }, TODAY);
    timers[0]?.();
    await file.written;
  };
  await rm(path);
  await mkdir(path);
  await use();
  await use();
  await rmdir(path);
  await use();
  t.equal((await read(path)).days['2026-11-27'].ci.input, 3);
  t.strictSame(
    log.entries().map(({ level, msg }) => `${level} ${msg}`),
    [
      `error usage.file: ${path} cannot be written; a restart would forget what was used since`,
      `info ${path} is written again`,
    ],
  );
});
