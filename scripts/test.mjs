// Runs tests: all of them, or those that are named by their place below `test`, without an ending
// (`access/path` or `access`). Options go to tap; `--one` makes a name necessary.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { FailureFilter } from './failure-filter.mjs';
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
  return testsIn(folder, /\.(test|e2e)\.js$/);
}

/** All but those that need a released Codex. */
function all() {
  return testsIn('.build/test', /\.test\.js$/);
}

function testsIn(folder, ending) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => ending.test(path))
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

// In a terminal tap shows what is running; what else it can do, it does by itself.
const isPlain = given.every(({ name }) => name === 'one' || name === 'timeout');
const files = names.length > 0 ? names.flatMap(compiled) : all();
const options = given
  .filter(({ name }) => name !== 'one')
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
if (isPlain && !process.stdout.isTTY)
  await runQuietly('scripts/run-tests.mjs', ...options, ...files);
else {
  if (!isGiven('coverage-map')) options.push('--disable-coverage');
  run('node_modules/tap/dist/esm/run.mjs', 'run', ...options, ...files);
}

/**
 * Only failures are shown, with their diff and place, and the count at the end. Tap's own short
 * reporters lose everything when one file runs into its time limit.
 */
async function runQuietly(...command) {
  const env = { ...process.env, CI: process.env.CI ?? '1' };
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'], env });
  const filter = new FailureFilter((line) => process.stdout.write(`${line}\n`));
  for await (const line of createInterface({ input: child.stdout })) filter.take(line);
  const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  if (status !== 0) process.exit(status ?? 1);
}
