import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

const TUNED = `import { tuneHeap } from '${new URL('../../src/commands/process.js', import.meta.url).href}'; tuneHeap();`;

async function outputOf(program: string, flags: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    'env',
    // Without the hooks of tap, which would be collected too.
    ['-u', 'NODE_OPTIONS', process.execPath, ...flags, '--input-type=module', '--eval', program],
    { env: { PATH: process.env.PATH } },
  );
  return stdout;
}

/**
 * Full collections during one and the same work. A limit that stays close to what lives is what V8
 * leaves of the heap of an idle process; here it is a flag, so that nothing has to wait for that.
 */
async function fullCollections(prepare: string): Promise<number> {
  const program = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    ${prepare}
    let full = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    const live = Array.from({ length: 200_000 }, (_, i) => ({ i, text: String(i) }));
    globalThis.gc();
    const brief = [];
    for (let i = 0; i < 1500; i++) {
      brief.push(new Array(10_000).fill(0).map((j) => ({ j })));
      if (brief.length > 10) brief.shift();
      await new Promise(setImmediate);
    }
    console.log(full, live.length);
  `;
  const stdout = await outputOf(program, ['--expose-gc', '--heap-growing-percent=10']);
  return Number.parseInt(stdout, 10);
}

t.test('what was idle does not collect the whole heap again and again', async (t) => {
  const [plain = 0, grown = 0] = await Promise.all([fullCollections(''), fullCollections(TUNED)]);
  t.ok(grown < plain, `${grown} instead of ${plain}`);
});

t.test('no object begins its life in the old part of the heap', async (t) => {
  const judged = async (prepare: string) => {
    // Each of these objects lives through small collections.
    const program = `
      ${prepare}
      const make = (i) => [{ i }, [i]];
      const kept = [];
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 10_000; i++) kept.push(make(i));
        await new Promise(setImmediate);
      }
    `;
    const output = await outputOf(program, ['--trace-pretenuring-statistics']);
    return output.split('\n').filter((line) => line.includes('pretenuring:')).length;
  };
  const [plain, tuned] = await Promise.all([judged(''), judged(TUNED)]);
  t.ok(plain > 0, 'V8 would judge where to make them');
  t.equal(tuned, 0);
});
