import t from 'tap';
import { serialized } from '../../src/base/serialize.ts';

t.test('a call waits for those before it, also for one that fails', async (t) => {
  const begun: ((error: Error | null) => void)[] = [];
  const work = serialized(
    () =>
      new Promise<number>((resolve, reject) => {
        const turn = begun.push((error) => (error ? reject(error) : resolve(turn)));
      }),
  );
  const [first, second, third] = [work(), work(), work()];
  const failed = t.rejects(first, { message: 'no' });
  await new Promise(setImmediate);
  t.equal(begun.length, 1);
  begun[0]?.(new Error('no'));
  await failed;
  await new Promise(setImmediate);
  t.equal(begun.length, 2);
  begun[1]?.(null);
  t.equal(await second, 2);
  await new Promise(setImmediate);
  begun[2]?.(null);
  t.equal(await third, 3);
});
