import t from 'tap';
import { pageScript } from '../../../src/admin/page/script.ts';

t.test('a script that lacks a module is refused when it is put together', async (t) => {
  t.throws(() => pageScript(['chart.js', 'view.js']), {
    message: "the page's script lacks ./elements.js, which view.js imports",
  });
  t.match(pageScript(), 'function niceCeiling');
});
