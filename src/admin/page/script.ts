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

/** The script of the page, put together from the compiled modules beside this one. */
export function pageScript(): string {
  return MODULES.map(readModule).join('');
}

/** In one script there is nothing to import; a module keeps its names to itself. */
function readModule(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
    .replace(/^import\s[^;]*;\n/gm, '')
    .replace(/^export \{\};\n/gm, '')
    .replace(/^export /gm, '')
    .replace(/^\/\/# sourceMappingURL=.*$/gm, '');
}
