import t from 'tap';
import { expandHome } from '../../src/files/home-path.ts';

t.test('a tilde at the beginning is the home folder, as in a shell', async (t) => {
  t.equal(expandHome('~/.codex/auth.json', '/home/me'), '/home/me/.codex/auth.json');
  t.equal(expandHome('~', '/home/me'), '/home/me');
  for (const path of ['/etc/~/x', 'a~b', './~', 'relative/x', '-', 'stdout']) {
    t.equal(expandHome(path, '/home/me'), path);
  }
  t.throws(() => expandHome('~root/x', '/home/me'), {
    message: 'names the home folder of another user (~root/x); write the whole path',
  });
});
