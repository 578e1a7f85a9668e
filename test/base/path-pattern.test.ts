import t from 'tap';
import { matchesPattern, PATH_PATTERN } from '../../src/base/path-pattern.ts';

const CASES: Record<string, { covers: string[]; leaves: string[] }> = {
  '/a/b': { covers: ['/a/b'], leaves: ['/a', '/a/b/c', '/a/bb'] },
  '/a/*': { covers: ['/a', '/a/b', '/a/b/c'], leaves: ['/', '/ab', '/b/a'] },
  '/a/*/c': { covers: ['/a/b/c', '/a/*/c'], leaves: ['/a/c', '/a/b', '/a/b/c/d', '/a/b/b/c'] },
  '/a/*/c/*': { covers: ['/a/b/c', '/a/b/c/d/e'], leaves: ['/a/b', '/a/c/d', '/a/b/cc'] },
  '/*/c': { covers: ['/a/c'], leaves: ['/c', '/a/b/c'] },
};

for (const [pattern, { covers, leaves }] of Object.entries(CASES)) {
  t.test(`${pattern} covers what it says and nothing else`, async (t) => {
    t.match(pattern, PATH_PATTERN);
    for (const path of covers) t.ok(matchesPattern(pattern, path), path);
    for (const path of leaves) t.notOk(matchesPattern(pattern, path), path);
  });
}

t.test('a star is a whole segment, and a pattern is in normal form', async (t) => {
  for (const pattern of ['', '/', 'a', '/a/', '/a//b', '/a*', '/a*/b', '/**', '/../a', '/a/./*']) {
    t.notMatch(pattern, PATH_PATTERN, pattern);
  }
});
