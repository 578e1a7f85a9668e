import { chmodSync } from 'node:fs';
import t from 'tap';
import { makeAuthHome } from '../helpers/auth-home.ts';

t.test('knows whether other users can read the file', async (t) => {
  const home = makeAuthHome(t);
  t.notOk(await home.store.isReadableByOthers(), 'no file');
  home.write('{}');
  for (const [mode, readable] of [
    [0o600, false],
    [0o400, false],
    [0o700, false],
    [0o640, true],
    [0o604, true],
    [0o644, true],
  ] as const) {
    chmodSync(home.path, mode);
    t.equal(await home.store.isReadableByOthers(), readable, mode.toString(8));
  }
});
