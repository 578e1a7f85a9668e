import { readFile } from 'node:fs/promises';
import t from 'tap';
import { errnoOf } from '../../src/base/errors.ts';

t.test('the code of a failed system call', async (t) => {
  const error: unknown = await readFile('/nowhere/at/all').catch((reason: unknown) => reason);
  t.equal(errnoOf(error), 'ENOENT');
});

t.test('whatever else is thrown has no code', async (t) => {
  for (const value of [new Error('x'), { code: 7 }, 'ENOENT', null, undefined]) {
    t.equal(errnoOf(value), 'unknown error');
  }
});
