import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';

// Lint holds the same rules; this test names the file and keeps them when a lint rule is switched
// off. A folder that is missing here fails, so that a new one gets a layer.
const LAYERS: Record<string, number> = {
  'agent-identity': 1,
  oauth: 1,
  'auth-store': 1,
  credentials: 2,
  access: 3,
  admin: 3,
  proxy: 3,
  'server.ts': 4,
  commands: 5,
  'cli.ts': 5,
  'index.ts': 5,
};
/** Files of one purpose with server.ts. */
const BESIDE_SERVER = new Set(['bounds.ts', 'http-server.ts', 'live-config.ts']);
const WEB = /^(fastify|@fastify\/.*)$/;

function unitOf(file: string): string {
  const [first = ''] = file.split('/');
  if (BESIDE_SERVER.has(first)) return 'server.ts';
  return file.includes('/') || first in LAYERS ? first : 'base';
}

function importsOf(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'));

t.test('every folder has a layer', async (t) => {
  const known = [...Object.keys(LAYERS), 'emulator', 'base'];
  for (const file of files) t.ok(known.includes(unitOf(file)), file);
});

t.test('imports point down, and folders of one layer do not import each other', async (t) => {
  for (const file of files) {
    const from = unitOf(file);
    for (const target of importsOf(file).filter((name) => name.startsWith('.'))) {
      const to = unitOf(relative('src', join('src', dirname(file), target)));
      t.ok(isAllowed(from, to), `${file} imports ${target}`);
    }
  }
});

t.test('protocol and credentials know no web framework', async (t) => {
  for (const file of files) {
    const layer = LAYERS[unitOf(file)] ?? 0;
    if (layer > 2 || unitOf(file) === 'emulator') continue;
    for (const name of importsOf(file)) t.notMatch(name, WEB, file);
  }
});

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true;
  if (from === 'emulator') return to === 'base' || LAYERS[to] === 1;
  const own = LAYERS[from] ?? 0;
  if (to === 'emulator') return own === 5;
  // cli.ts, index.ts and commands are one layer in three places; nothing imports the first two.
  if (own === 5) return to !== 'cli.ts' && to !== 'index.ts';
  return (LAYERS[to] ?? 0) < own;
}
