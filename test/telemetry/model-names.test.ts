import t from 'tap';
import { ModelNames } from '../../src/telemetry/model-names.ts';

t.test('twenty names, and what is no name is another', async (t) => {
  const names = new ModelNames();
  t.equal(names.bounded(null), 'unknown');
  for (const name of ['', ' ', 'a"b', 'a\nb', 'x'.repeat(65), '-x', 'naïve']) {
    t.equal(names.bounded(name), 'other', name);
  }
  for (let i = 0; i < 30; i++) t.equal(names.bounded(`gpt-${i}`), i < 20 ? `gpt-${i}` : 'other');
  t.equal(names.bounded('gpt-3'), 'gpt-3');
});
