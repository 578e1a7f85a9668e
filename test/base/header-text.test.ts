import t from 'tap';
import { isHeaderText } from '../../src/base/header-text.ts';

t.test('a token or an id without spaces can be sent', async (t) => {
  for (const value of ['x', 'sk-abc_123', 'a.b~c!', 'Zm9v+/=']) t.ok(isHeaderText(value), value);
});

t.test('what would break or change a header is refused', async (t) => {
  for (const value of ['', 'a b', 'a\nb', 'a\r', 'a\t', 'a\0', 'é', '…', 'a\x7f']) {
    t.notOk(isHeaderText(value), JSON.stringify(value));
  }
});
