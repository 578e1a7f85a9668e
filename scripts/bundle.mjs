// Puts the compiled program (.build/program) and all that it imports into a few files in dist, so that
// an installation is small and a start opens few files. What is imported later stays in files of its own.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const FROM = '.build/program';
const TO = 'dist';
/** What the types of a program that imports the package refer to. */
const TYPES = ['index.d.ts', 'base/errors.d.ts', 'config/config.generated.d.ts'];
/** Old CommonJS packages call `require` for Node's own modules, which an ES module does not have. */
const REQUIRE =
  "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);";

/** The page's script is read from the modules beside it, which the bundle does not have. */
const pageScript = {
  name: 'page script',
  setup({ onLoad }) {
    onLoad({ filter: /admin\/page\/script\.js$/ }, async ({ path }) => {
      const { pageScript } = await import(path);
      const text = JSON.stringify(pageScript());
      return { contents: `export const pageScript = () => ${text};` };
    });
  },
};

rmSync(TO, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: [join(FROM, 'cli.js'), join(FROM, 'index.js')],
  outdir: TO,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  // The same text wherever the project lies.
  preserveSymlinks: true,
  sourcemap: true,
  sourcesContent: false,
  banner: { js: REQUIRE },
  // Optional parts of pg that are not used here.
  external: ['pg-native', 'pg-cloudflare'],
  legalComments: 'none',
  plugins: [pageScript],
  metafile: true,
});

for (const name of TYPES) {
  mkdirSync(dirname(join(TO, name)), { recursive: true });
  copyFileSync(join(FROM, name), join(TO, name));
}
chmodSync(join(TO, 'cli.js'), 0o755);
checkErrorNames(metafile);
writeFileSync(join(TO, 'LICENSES.txt'), licencesOf(Object.keys(metafile.inputs)));

/** Where two classes have one name, esbuild renames one; a log would then show a name that nobody wrote. */
function checkErrorNames({ inputs, outputs }) {
  const classes = /\bclass (\w+Error)\b/g;
  const own = Object.keys(inputs)
    .filter((path) => path.startsWith(FROM))
    .flatMap((path) => [...readFileSync(path, 'utf8').matchAll(classes)].map(([, name]) => name));
  const renamed = new RegExp(`\\b(${own.join('|')})\\d+\\b(?= = class| extends)`);
  for (const output of Object.keys(outputs).filter((name) => name.endsWith('.js'))) {
    const found = renamed.exec(readFileSync(output, 'utf8'));
    if (found) throw new Error(`${output}: the error class ${found[1]} was renamed to ${found[0]}`);
  }
}

/** @returns name, version and licence text of each package that the bundle holds */
function licencesOf(inputs) {
  const folders = inputs.map(
    (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0],
  );
  const texts = [...new Set(folders)].filter(Boolean).sort().map(licenceOf);
  const head = 'The files of this folder also hold the packages below, each under its licence.\n';
  return [head, ...texts].join(`\n${'-'.repeat(80)}\n\n`);
}

function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const text = licenceText(folder);
  if (!text && !license) throw new Error(`${folder} says no licence`);
  return `${name} ${version} (${license})\n${text ? `\n${text.trim()}\n` : ''}`;
}

function licenceText(folder) {
  for (const name of [
    'LICENSE',
    'LICENSE.md',
    'LICENSE.txt',
    'LICENCE',
    'license',
    'LICENSE-MIT',
  ]) {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch {}
  }
  return null;
}
