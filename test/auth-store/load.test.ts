import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';
import { refuses } from '../helpers/refusal.ts';

t.test('no file, no folder, or a file in place of the folder is no document', async (t) => {
  const home = makeAuthHome(t);
  t.equal(home.store.location, home.path);
  t.equal(await home.store.load(), null);
  t.equal(await new FileAuthStore(join(home.folder, 'none', 'yet')).load(), null);
  home.write('{}');
  t.equal(await new FileAuthStore(home.path).load(), null);
});

t.test('reads the file anew each time', async (t) => {
  const home = makeAuthHome(t, { OPENAI_API_KEY: 'one' });
  t.equal((await home.store.load())?.apiKey?.reveal(), 'one');
  home.write({ OPENAI_API_KEY: 'two' });
  t.equal((await home.store.load())?.apiKey?.reveal(), 'two');
});

t.test('a file that cannot be read says why, not what', async (t) => {
  const home = makeAuthHome(t);
  mkdirSync(home.path);
  await refuses(t, () => home.store.load(), 'auth.json: cannot be read (EISDIR)', []);
});

t.test('a file that does not parse is an error', async (t) => {
  const home = makeAuthHome(t, '{"OPENAI_API_KEY":"hush"');
  const message = 'auth.json: is not valid JSON; repair it, or move it away and sign in';
  await refuses(t, () => home.store.load(), message, ['hush']);
});
