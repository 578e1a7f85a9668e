import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

/**
 * The floor of each folder. A folder imports lower floors only, and never another one of its own
 * floor. A folder that is missing here fails, so that a new one gets a floor.
 */
const FLOORS: Record<string, number> = {
  base: 0,
  config: 1,
  files: 1,
  upstream: 1,
  telemetry: 2,
  'agent-identity': 2,
  oauth: 2,
  clients: 2,
  'auth-store': 2,
  inbound: 3,
  credentials: 3,
  access: 4,
  proxy: 4,
  admin: 4,
  sidecar: 5,
  commands: 6,
  'cli.ts': 7,
  'index.ts': 7,
};

/** Stands beside the floors: knows these folders only, and is known to the commands only. */
const EMULATOR = 'emulator';
const EMULATOR_KNOWS = [
  'base',
  'config',
  'files',
  'upstream',
  'agent-identity',
  'oauth',
  'auth-store',
];

const CONTEXT_FILE = 'inbound/request-context.ts';

/** What only some places know: a pattern in the code, and the folders and files that may hold it. */
const KNOWN_TO: { what: string; pattern: RegExp; places: string[] }[] = [
  {
    what: 'the web framework',
    pattern: /from '(fastify|@fastify\/[^']*)'/,
    places: ['inbound', 'access', 'proxy', 'admin', 'sidecar', EMULATOR],
  },
  {
    what: 'the client of PostgreSQL, which takes 15 MB and is loaded when it is needed',
    pattern: /from 'pg'|import\('pg'\)/,
    places: ['auth-store/postgres-link.ts'],
  },
  {
    what: 'additions to the types of the web framework',
    pattern: /declare module/,
    places: [CONTEXT_FILE, 'emulator/app.ts'],
  },
  {
    what: 'files and other programs',
    pattern: /from 'node:(fs|fs\/promises|child_process)'/,
    places: [
      'files',
      'auth-store',
      'telemetry/audit-log.ts',
      'sidecar',
      'commands',
      'admin/page/script.ts',
      'admin/process-metrics.ts',
    ],
  },
  {
    what: 'requests through the global agents of Node.js and undici, which may go to a proxy: none',
    pattern:
      /import \{[^}]*\b(request|get|fetch)\b[^}]*\} from '(node:https?|undici)'|[^.\w]fetch\(/,
    places: [],
  },
  {
    what: 'durations by the time of day: none, but expiry times, file times and what a person reads',
    pattern: reckoningWith('now|nowMs|systemClock'),
    places: [
      'access/caller.ts',
      'admin/clients.ts',
      'admin/page/status-text.ts',
      'admin/page/usage-view.ts',
      'admin/page/view.ts',
      'agent-identity/identity-token.ts',
      'agent-identity/registration-call.ts',
      // The monotonic clock stands still with a suspended machine; the other processes go on.
      'auth-store/shared-transaction.ts',
      // Compares two clocks, to say that they differ.
      'auth-store/postgres-inspect.ts',
      'commands/doctor/certificate.ts',
      'commands/doctor/credential.ts',
      'commands/doctor/store.ts',
      'commands/status/clients-table.ts',
      'commands/token',
      'oauth/device-login.ts',
      'oauth/workload-identity.ts',
      'sidecar/tls-files.ts',
      'credentials/identity-failure.ts',
      'files/replace-file.ts',
      'telemetry/account-limits.ts',
      'telemetry/activity.ts',
      'telemetry/exchange-record.ts',
      EMULATOR,
    ],
  },
  {
    what: "durations by the backend's time of day: none, but the expiry of its tokens",
    pattern: reckoningWith('backendNow'),
    places: [
      'credentials/chatgpt-bearer.ts',
      'credentials/chatgpt-session.ts',
      'credentials/workload-bearer.ts',
    ],
  },
  {
    what: 'arguments, environment, terminal, signals and end of the process',
    pattern: /\bprocess\.(argv|env|exit|exitCode|kill|on|once|stdin|stdout|stderr|title)\b/,
    places: ['commands', 'cli.ts', 'index.ts'],
  },
  {
    what: 'the process',
    pattern: /\bprocess\.(?!nextTick\b)[a-z]/i,
    places: [
      'commands',
      'cli.ts',
      'index.ts',
      'sidecar',
      'files/ownership.ts',
      'admin/process-metrics.ts',
      'admin/prometheus.ts',
    ],
  },
];

/**
 * A sum, a difference or a comparison with a clock that is set from time to time. Durations are
 * measured on the monotonic clock; what is listed here deals with times of day.
 */
function reckoningWith(clock: string): RegExp {
  const value = String.raw`(?!performance\.)(?:#?\w+\.)*#?\b(?:${clock})\b(?:\(\))?`;
  const operator = '(?:[-+%]|(?<!=)[<>]=?)';
  return new RegExp(String.raw`(?<![\w.#])${value} ${operator} |${operator} ${value}`);
}

/** Fields of `inbound/request-context.ts`, which TypeScript lets everybody use without an import. */
const CONTEXT_FIELD =
  /\brequest\.(exchange|target|client)\b|\{[^}]*\b(exchange|target|client)\b[^}]*\} = request\b|\bconfig: \{ access\b/;
const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'));

t.test('the root holds folders and two files, and each has a floor', async (t) => {
  const units = new Set(files.map(unitOf));
  t.strictSame([...units].sort(), [...Object.keys(FLOORS), EMULATOR].sort());
});

t.test('docs/architecture.md shows the same floors', async (t) => {
  const rows = readFileSync('docs/architecture.md', 'utf8').matchAll(/^\| (\d) \| ([^|]+) \|/gm);
  const shown = Array.from(rows).flatMap(([, floor, places = '']) =>
    Array.from(places.matchAll(/`([^`/]+)\/?`/g), ([, place]) => [place, Number(floor)]),
  );
  t.strictSame(Object.fromEntries(shown), FLOORS);
});

t.test('imports point to lower floors', async (t) => {
  for (const file of files) {
    const from = unitOf(file);
    for (const target of importsOf(file)) {
      t.ok(isAllowed(from, unitOf(target)), `${file} imports ${target}`);
    }
  }
});

for (const { what, pattern, places } of KNOWN_TO) {
  t.test(`who knows ${what}`, async (t) => {
    const users = files.filter((file) => pattern.test(codeOf(file)));
    const within = (place: string) => (file: string) =>
      file === place || file.startsWith(`${place}/`);
    for (const file of users)
      t.ok(
        places.some((place) => within(place)(file)),
        file,
      );
    for (const place of places) t.ok(users.some(within(place)), `an exception that ${place} needs`);
  });
}

t.test('a folder that uses the context of a request imports it', async (t) => {
  const users = new Set(files.filter((file) => CONTEXT_FIELD.test(codeOf(file))).map(unitOf));
  const importers = new Set(
    files.filter((file) => importsOf(file).includes(CONTEXT_FILE)).map(unitOf),
  );
  for (const folder of ['access', 'proxy', 'admin']) t.ok(users.has(folder), folder);
  for (const folder of users) if (folder !== EMULATOR) t.ok(importers.has(folder), folder);
});

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true;
  if (from === EMULATOR) return EMULATOR_KNOWS.includes(to);
  if (to === EMULATOR) return from === 'commands';
  return (FLOORS[to] ?? Number.POSITIVE_INFINITY) < (FLOORS[from] ?? 0);
}

/** The folder of a file; for a file of the root the file itself. */
function unitOf(file: string): string {
  return file.split('/')[0] ?? '';
}

/** Files of `src` that a file imports, types included. */
function importsOf(file: string): string[] {
  const found = codeOf(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return Array.from(found, (match) => join(dirname(file), match[1] ?? ''));
}

function codeOf(file: string): string {
  return readFileSync(join('src', file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
