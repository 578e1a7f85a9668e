import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { decodeText, ReadError, readTextFile } from '../../src/files/read-text.ts';

function makePipe(folder: string): string {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', ['-m', '600', path]);
  return path;
}

t.test('a file in any encoding of an editor gives the same text', async (t) => {
  const text = '{"name":"grün"}';
  const swapped = Buffer.from(`\ufeff${text}`, 'utf16le').swap16();
  for (const [name, bytes] of Object.entries({
    'UTF-8': Buffer.from(text),
    'UTF-8 with a mark': Buffer.from(`\ufeff${text}`),
    'UTF-16LE with a mark': Buffer.from(`\ufeff${text}`, 'utf16le'),
    'UTF-16BE with a mark': swapped,
    'UTF-16LE without a mark': Buffer.from(text, 'utf16le'),
    'UTF-16BE without a mark': Buffer.from(text, 'utf16le').swap16(),
  })) {
    const path = join(t.testdir(), 'file');
    await writeFile(path, bytes);
    t.equal(await readTextFile(path), text, name);
  }
  t.equal(decodeText(Buffer.alloc(0)), '', 'an empty file is an empty text');
});

t.test('bytes that are no text are refused, not replaced by question marks', async (t) => {
  for (const bytes of [[0x7b, 0xff, 0x7d], [0xff, 0xfe, 0x00, 0xd8], [0xc3]]) {
    t.throws(() => decodeText(Buffer.from(bytes)), { message: /neither UTF-8 nor UTF-16/ });
  }
});

t.test('a pipe is read once, and gives its text again', async (t) => {
  const path = makePipe(t.testdir());
  const first = readTextFile(path);
  const writer = spawn('sh', ['-c', 'printf one > "$0"', path]);
  const exit = once(writer, 'exit');
  t.equal(await first, 'one');
  await exit;
  t.equal(await readTextFile(path), 'one', 'nobody writes any more');
});

t.test('two reads of one pipe at once share its text', async (t) => {
  const path = makePipe(t.testdir());
  const both = [readTextFile(path), readTextFile(path)];
  spawn('sh', ['-c', 'printf one > "$0"', path]);
  t.strictSame(await Promise.all(both), ['one', 'one']);
});

t.test('a pipe without a writer is an error, and is read when one comes later', async (t) => {
  const path = makePipe(t.testdir());
  await t.rejects(readTextFile(path, { pipeWaitMs: 20 }), {
    name: 'Error',
    message: 'nobody finished writing to this pipe within 0.02 s',
  });
  const again = readTextFile(path);
  spawn('sh', ['-c', 'printf two > "$0"', path]);
  t.equal(await again, 'two');
});

t.test('a program that waits for a pipe can exit', async (t) => {
  const path = makePipe(t.testdir());
  const module = new URL('../../src/files/read-text.js', import.meta.url).href;
  const script = `import(${JSON.stringify(module)}).then(({ readTextFile }) => {
    readTextFile(${JSON.stringify(path)}, { pipeWaitMs: 3_600_000 });
    setImmediate(() => setTimeout(() => process.exit(7), 50));
  })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'inherit' });
  t.strictSame(await once(child, 'exit'), [7, null]);
});

t.test('what never ends is cut at the limit', async (t) => {
  for (const path of ['/dev/zero', makePipe(t.testdir())]) {
    const reading = readTextFile(path, { maxBytes: 1024 * 1024 });
    if (path !== '/dev/zero') {
      const yes = spawn('sh', ['-c', 'exec yes > "$0"', path]);
      t.teardown(() => yes.kill());
    }
    await t.rejects(reading, { message: 'it holds more than 1024 KiB' });
  }
});

t.test('what cannot be opened has the reason of the system', async (t) => {
  const folder = t.testdir();
  const code = (path: string) =>
    readTextFile(path).then(
      () => null,
      (error: unknown) => (error instanceof ReadError ? error.code : error),
    );
  t.equal(await code(join(folder, 'missing')), 'ENOENT');
  await t.rejects(readTextFile(folder), { message: 'EISDIR' });
  t.equal(await readTextFile('/dev/null'), '');
});
