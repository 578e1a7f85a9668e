import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { VERSION } from '../../src/base/version.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

t.test('the newest entry of the changelog is the version of the package', async (t) => {
  const entries = readFileSync('CHANGELOG.md', 'utf8').matchAll(
    /^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2}|Unreleased)$/gm,
  );
  t.equal([...entries][0]?.[1], version);
});

t.test('the lock file has it too', async (t) => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  t.equal(lock.version, version);
  t.equal(lock.packages[''].version, version);
});

t.test('the program reads it from there, and it is written nowhere else', async (t) => {
  t.equal(VERSION, version);
  const files = ['src', 'deploy'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const pattern = new RegExp(`\\b${version.replaceAll('.', '\\.')}\\b`);
  for (const file of ['README.md', 'Dockerfile', ...files]) {
    t.notMatch(readFileSync(file, 'utf8'), pattern, file);
  }
});
