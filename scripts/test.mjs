// Runs tests: all of them, or those that are named by their place below `test`, without an ending
// (`access/path` or `access`). Options go to tap; `--one` makes a name necessary.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import './prepare-tap.mjs';

/** Runs a program with this Node.js; where it fails, this one ends in the same way. */
function run(file, ...args) {
  const { status, error } = spawnSync(process.execPath, [file, ...args], { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function fail(text) {
  process.stderr.write(`${text}, for example: npm run test:one -- access/path\n`);
  process.exit(2);
}

/** The compiled tests that `name` means: one, or all in a folder. */
function compiled(name) {
  const place = name.replace(/^(\.build\/)?test\//, '').replace(/\.[jt]s$/, '');
  const files = [`${place}.js`, `${place}.test.js`, `${place}.e2e.js`];
  const file = files.map((path) => `.build/test/${path}`).find((path) => existsSync(path));
  if (file) return [file];
  const folder = `.build/test/${place}`;
  if (!existsSync(folder)) fail(`no test is called ${name}; name one`);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(test|e2e)\.js$/.test(path))
    .map((path) => `${folder}/${path}`);
}

const { positionals: names, tokens } = parseArgs({ strict: false, tokens: true });
const given = tokens.filter(({ kind }) => kind === 'option');
const isGiven = (option) => given.some(({ name }) => name === option);
if (isGiven('one') && names.length === 0) fail('name a test');

run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
// Where Codex runs there is no network, and no page is opened.
if (names.length === 0 || names.some((name) => name !== 'e2e')) {
  const { fetchChromium } = await import('../.build/test/helpers/chromium.js');
  fetchChromium();
}

const options = given
  .filter(({ name }) => name !== 'one')
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
// In a terminal tap shows what is running; elsewhere it says what failed, and how many passed.
if (!process.stdout.isTTY) {
  // Without it the reporter draws its state again and again.
  process.env.CI ??= '1';
  if (!isGiven('reporter')) options.push('--reporter=terse');
}
if (!isGiven('coverage-map')) options.push('--disable-coverage');
run('node_modules/tap/dist/esm/run.mjs', 'run', ...options, ...names.flatMap(compiled));
