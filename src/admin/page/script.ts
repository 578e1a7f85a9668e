import { readFileSync } from 'node:fs';

// Modules of the page's script, each after those that it uses.
const MODULES = [
  '../../base/printable.js',
  'format.js',
  'chart.js',
  'elements.js',
  'usage-view.js',
  'remedies.js',
  'status-text.js',
  'view.js',
  'sign-in-view.js',
  'main.js',
];

/**
 * The script of the page, put together from the compiled modules beside this one.
 * @param modules other than all of them only in tests
 * @throws Error when a module imports one that does not come before it
 */
export function pageScript(modules: readonly string[] = MODULES): string {
  const known = new Set<string>();
  const texts = modules.map((name) => {
    const url = new URL(name, import.meta.url);
    const text = readFileSync(url, 'utf8');
    for (const [, imported = ''] of text.matchAll(/^import\s[^;]*from '([^']+)';$/gm)) {
      if (known.has(new URL(imported, url).href)) continue;
      throw new Error(`the page's script lacks ${imported}, which ${name} imports`);
    }
    known.add(url.href);
    return inOneScript(text);
  });
  return texts.join('');
}

/** In one script there is nothing to import; a module keeps its names to itself. */
function inOneScript(text: string): string {
  return text
    .replace(/^import\s[^;]*;\n/gm, '')
    .replace(/^export \{\};\n/gm, '')
    .replace(/^export /gm, '')
    .replace(/^\/\/# sourceMappingURL=.*$/gm, '');
}
