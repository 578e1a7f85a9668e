import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { appendTo, LineOutput } from '../../src/files/line-output.ts';

const LINE = `${'x'.repeat(1023)}\n`;
const KIB_THAT_FIT = 1024;

/** A pipe with a reader that reads when it is told to. */
function openPipe(t: Test) {
  const path = join(t.testdir({}), 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.teardown(() => closeSync(reader));
  const readAll = () => {
    const chunk = Buffer.alloc(1024 * 1024);
    let text = '';
    for (;;) {
      try {
        const size = readSync(reader, chunk);
        if (size === 0) return text;
        text += chunk.toString('utf8', 0, size);
      } catch {
        return text;
      }
    }
  };
  return { path, readAll };
}

t.test('no output blocks: lines wait for a reader, and what does not fit is counted', async (t) => {
  const { path, readAll } = openPipe(t);
  const output = appendTo(path);
  const resumed = new Promise<number>((resolve) => {
    output.onResumed = resolve;
  });
  const lines = 4 * KIB_THAT_FIT;
  for (let i = 0; i < lines; i++) output.write(LINE);
  const { lost } = output;
  t.ok(lost > 2 * KIB_THAT_FIT, 'the rest is in the pipe and in memory');
  let text = '';
  const reading = setInterval(() => {
    text += readAll();
  }, 1);
  t.equal(await resumed, lost);
  clearInterval(reading);
  text += readAll();
  t.equal(text, LINE.repeat(lines - lost), 'whole lines, in order');
});

t.test('no output blocks an end: lines that nobody reads are lost then', async (t) => {
  const { path } = openPipe(t);
  const output = appendTo(path);
  for (let i = 0; i < KIB_THAT_FIT; i++) output.write(LINE);
  t.equal(output.lost, 0);
  await output.settle(100);
  t.ok(output.lost > 0);
});

t.test('a reader that went away loses lines; a new one gets the next', async (t) => {
  const path = join(t.testdir({}), 'pipe');
  execFileSync('mkfifo', [path]);
  const open = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const first = open();
  const output = appendTo(path);
  closeSync(first);
  output.write('lost\n');
  const second = open();
  t.teardown(() => closeSync(second));
  output.write('kept\n');
  t.equal(output.lost, 1);
  const chunk = Buffer.alloc(100);
  t.equal(chunk.toString('utf8', 0, readSync(second, chunk)), 'kept\n');
});

t.test('a pipe without a reader cannot be opened, which would otherwise wait', async (t) => {
  const path = join(t.testdir({}), 'pipe');
  execFileSync('mkfifo', [path]);
  t.throws(() => appendTo(path), { code: 'ENXIO' });
});

t.test('a full disk loses lines and stops nothing', async (t) => {
  const output = appendTo('/dev/full');
  output.write('x\n');
  t.equal(output.lost, 1);
});

t.test('a file gets each line at once', async (t) => {
  const path = join(t.testdir({}), 'file');
  const output = appendTo(path);
  output.write('one\n');
  output.write('two\n');
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
});

t.test('a descriptor that is closed loses lines', async (t) => {
  const path = join(t.testdir({ file: '' }), 'file');
  const fd = openSync(path, 'a');
  const output = new LineOutput(fd);
  closeSync(fd);
  output.write('x\n');
  t.equal(output.lost, 1);
});
