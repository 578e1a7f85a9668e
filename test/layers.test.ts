import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';

// The one table of the layers. A folder imports folders of lower floors only, and never one of its
// own floor. A folder that is missing here fails, so that a new one gets a floor.
const FLOORS: Record<string, number> = {
  base: 0,
  config: 1,
  files: 1,
  telemetry: 1,
  upstream: 1,
  'agent-identity': 2,
  oauth: 2,
  'auth-store': 2,
  inbound: 2,
  credentials: 3,
  access: 3,
  proxy: 4,
  admin: 4,
  sidecar: 5,
  commands: 6,
  'cli.ts': 6,
  'index.ts': 6,
};
/** Imports that still have to go. Take an entry out as soon as it has. */
const STILL_THERE = new Set([
  'sidecar/start.ts imports ../commands/process.ts',
  'telemetry/exchange-record.ts imports ../config/resolve.ts',
  'telemetry/traffic.ts imports ../upstream/backend-clock.ts',
]);
/** Below this floor nobody knows a web framework; `inbound` alone, our listener, stands lower. */
const WEB_FLOOR = 3;
const WEB = /^(fastify|@fastify\/.*)$/;

function unitOf(file: string): string {
  return file.split('/', 1)[0] ?? file;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'));

t.test('every folder has a floor', async (t) => {
  const known = [...Object.keys(FLOORS), 'emulator'];
  for (const file of files) t.ok(known.includes(unitOf(file)), file);
});

t.test('imports point down, and folders of one floor do not import each other', async (t) => {
  for (const file of files) {
    const from = unitOf(file);
    for (const target of importsOf(file).filter((name) => name.startsWith('.'))) {
      const to = unitOf(relative('src', join('src', dirname(file), target)));
      const arrow = `${file} imports ${target}`;
      if (!STILL_THERE.has(arrow)) t.ok(isAllowed(from, to), arrow);
    }
  }
});

t.test('protocol and credentials know no web framework', async (t) => {
  for (const file of files) {
    const unit = unitOf(file);
    const mayKnow =
      (FLOORS[unit] ?? 0) > WEB_FLOOR || ['inbound', 'access', 'emulator'].includes(unit);
    if (mayKnow) continue;
    for (const name of importsOf(file)) t.notMatch(name, WEB, file);
  }
});

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true;
  if (from === 'emulator') return (FLOORS[to] ?? 9) <= 2 && to !== 'inbound' && to !== 'telemetry';
  const own = FLOORS[from] ?? 0;
  if (to === 'emulator') return own === 6;
  // cli.ts, index.ts and commands are one floor in three places; nothing imports the first two.
  if (own === 6) return to !== 'cli.ts' && to !== 'index.ts';
  return (FLOORS[to] ?? 0) < own;
}
