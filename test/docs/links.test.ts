import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { linksIn, withoutBlocks } from '../helpers/links.ts';

const FOLDERS = ['docs', 'deploy', 'bench', 'test'];
const DOCUMENTS = [
  ...readdirSync('.'),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  ),
].filter((name) => name.endsWith('.md') && !name.includes('node_modules'));

for (const document of DOCUMENTS) {
  t.test(`the links in ${document} lead somewhere`, async (t) => {
    for (const target of linksIn(readFileSync(document, 'utf8'))) {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : normalize(join(dirname(document), path));
      t.ok(existsSync(file), target);
      if (anchor !== undefined) t.ok(anchorsOf(file).has(anchor), target);
    }
  });
}

t.test('every page of docs/ can be reached from the README', async (t) => {
  const linked = linksIn(readFileSync('README.md', 'utf8'));
  for (const name of readdirSync('docs').filter((name) => name.endsWith('.md'))) {
    t.ok(linked.includes(`docs/${name}`), name);
  }
});

t.test('a link that leads nowhere is found', async (t) => {
  const text =
    '[a](b.md#c "title") ![d](e.png) [f]: g.md\n```\n[h](i.md)\n```\n[j](https://k) `[l](m)`';
  t.strictSame(linksIn(text), ['b.md#c', 'e.png']);
  t.strictSame(linksIn('[f]: g.md\n<img src="n.svg"> <a href="o.md">o</a>'), [
    'g.md',
    'n.svg',
    'o.md',
  ]);
  t.strictSame(anchorsIn('# A `b`, c\n## A b c\n### D_e (f)?\n```\n# g\n```\n'), [
    'a-b-c',
    'a-b-c-1',
    'd_e-f',
  ]);
});

function anchorsOf(file: string): Set<string> {
  return new Set(anchorsIn(readFileSync(file, 'utf8')));
}

/** Anchors as GitHub makes them from the headings. */
function anchorsIn(text: string): string[] {
  const seen = new Map<string, number>();
  return Array.from(withoutBlocks(text).matchAll(/^#{1,6} (.+)$/gm), ([, heading = '']) => {
    const slug = heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}
