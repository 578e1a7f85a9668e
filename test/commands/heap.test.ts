import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

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
  const flags = ['--expose-gc', '--heap-growing-percent=10', '--input-type=module'];
  // Without the hooks of tap, which would be collected too.
  const env = { PATH: process.env.PATH };
  const { stdout } = await promisify(execFile)(
    'env',
    ['-u', 'NODE_OPTIONS', process.execPath, ...flags, '--eval', program],
    { env },
  );
  return Number.parseInt(stdout, 10);
}

t.test('what was idle does not collect the whole heap again and again', async (t) => {
  const heap = new URL('../../src/commands/process.js', import.meta.url).href;
  const [plain = 0, grown = 0] = await Promise.all([
    fullCollections(''),
    fullCollections(`import { letHeapGrow } from '${heap}'; letHeapGrow();`),
  ]);
  t.ok(grown < plain, `${grown} instead of ${plain}`);
});
