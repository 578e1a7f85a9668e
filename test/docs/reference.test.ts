import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { scrape } from '../../src/admin/prometheus.ts';
import { buildStatus } from '../../src/admin/status.ts';
import type { SharedStoreStatus } from '../../src/auth-store/store.ts';
import { PROXY_PREFIX } from '../../src/proxy/routes.ts';
import type { AccountLimit } from '../../src/telemetry/account-limits.ts';
import { auditLine } from '../../src/telemetry/audit-log.ts';
import { OpenExchange } from '../../src/telemetry/exchange-record.ts';
import { METRIC_PREFIX, Metrics } from '../../src/telemetry/metrics.ts';
import { run } from '../helpers/program.ts';
import { routesIn } from '../helpers/route-tree.ts';
import { startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { statusInput } from '../helpers/status-input.ts';

const REFERENCE = readFileSync('docs/reference.md', 'utf8');
const WATCH = readFileSync('docs/watch.md', 'utf8');

const SHARED_STORE: SharedStoreStatus = {
  kind: 'postgres',
  ...{ location: 'db:5432/auth#default', reachable: true, lastError: null },
  ...{ lastContactAt: '2026-11-20T21:30:36.000Z', version: 1, login: 1, rotation: 1, keyId: null },
  ...{ synchronous: null, writtenBack: 0 },
  refresh: { state: 'idle', by: null, since: null, code: null, ageSeconds: 0 },
};

const ACCOUNT_LIMIT: AccountLimit = {
  ...{ limit: 'codex', window: 'primary', usedPercent: 42, windowMinutes: 300 },
  ...{ resetsAt: '2026-11-20T21:30:36Z', seenAt: '2026-11-20T20:30:36Z' },
};

t.test('every command is listed with its options, and no other', async (t) => {
  const rows = REFERENCE.matchAll(/^\| `([a-z-]+)[^`|]*` \| ([A-Z][^|]*) \|$/gm);
  const documented = new Map(Array.from(rows, ([, name = '', text = '']) => [name, text]));
  t.strictSame([...documented.keys()].sort(), (await subcommands(t)).sort());
  for (const [name, text] of documented) {
    // The options of its subcommands are in docs/fleet.md.
    if (name === 'store') continue;
    const inner = await subcommands(t, name);
    const paths = [[name], ...inner.map((word) => [name, word])];
    const helps = await Promise.all(paths.map((words) => help(t, words)));
    const options = new Set(
      helps.flatMap((help) => captured(help, /^ {2}(?:-\w, )?(--[a-z-]+)/gm)),
    );
    options.delete('--help');
    t.strictSame(sorted(captured(text, /`(--[a-z-]+)/g)), sorted(options), name);
    for (const word of inner) t.match(text, `\`${word}`, `${name} ${word}`);
  }
});

t.test('every endpoint of the sidecar is listed, and no other', async (t) => {
  const { sidecar } = await startSidecarInFrontOf(t, 'http://127.0.0.1:9');
  const routes = routesIn(sidecar.app.printRoutes({ commonPrefix: false }));
  const endpoints = routes
    .filter(({ path }) => !path.startsWith(PROXY_PREFIX))
    .flatMap(({ path, methods }) => methods.map((method) => `${method} ${path}`))
    .filter((endpoint) => !endpoint.startsWith('HEAD '));
  const documented = captured(REFERENCE, /^\| `((?:GET|POST|DELETE) \/[^`]*)` \|/gm);
  t.strictSame(sorted(documented), sorted(endpoints));
});

t.test('every metric is listed with its labels, and no other', async (t) => {
  const metrics = new Metrics();
  metrics.finished(new OpenExchange('GET', false, () => 0));
  const usage = { input: 1, cached: 0, output: 1, reasoning: 0 };
  metrics.turns.turn('agent-1', { model: 'gpt-x', usage, unknown: null });
  metrics.storeOperation({ operation: 'read', outcome: 'ok', seconds: 0 });
  const status = () =>
    buildStatus(statusInput({ store: SHARED_STORE, accountLimits: [ACCOUNT_LIMIT] }));
  const text = scrape({ metrics, status, listeners: () => 0, auditLost: () => 0 });
  const [, section = ''] = /^## Metrics$([\s\S]*?)^## /m.exec(WATCH) ?? [];
  const rows = section.matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)?) \| ([`a-z_, ]*)\| [^|]+ \|$/gm);
  const documented = new Map(
    [...rows].flatMap(([, names = '', labels = '']) =>
      captured(names, /`(\w+)`/g).map((name) => [name, sorted(captured(labels, /`(\w+)`/g))]),
    ),
  );
  const exposed = captured(text, new RegExp(`^# TYPE ${METRIC_PREFIX}(\\w+) `, 'gm'));
  t.strictSame(sorted(documented.keys()), sorted(exposed));
  // A counter that nothing has increased yet shows no labels.
  const samples = text.matchAll(new RegExp(`^${METRIC_PREFIX}(\\w+)\\{([^}]*)\\}`, 'gm'));
  for (const [, name = '', labels = ''] of samples) {
    const family = name.replace(/_bucket$|_sum$|_count$/, '');
    const names = captured(labels, /(\w+)="/g).filter((label) => label !== 'le');
    t.strictSame(sorted(names), documented.get(family), family);
  }
});

t.test('every status is listed, and no other', async (t) => {
  const text = scrape({
    metrics: new Metrics(),
    status: () => buildStatus(statusInput()),
    listeners: () => 0,
    auditLost: null,
  });
  const exposed = captured(text, new RegExp(`^${METRIC_PREFIX}status\\{status="(\\w+)"\\}`, 'gm'));
  t.strictSame(sorted(captured(WATCH, /^\| `(\w+)` \| [^|]+ \| \d{3} \|$/gm)), sorted(exposed));
});

t.test('the example of the audit log has the fields of a line, in their order', async (t) => {
  const example = /^\{"time".*\}$/m.exec(WATCH)?.[0] ?? '';
  const line = auditLine(new OpenExchange(null, false, () => 0));
  t.strictSame(Object.keys(JSON.parse(example)), Object.keys(JSON.parse(line)));
});

/** Names of the commands below a command; of the program when no words are given. */
async function subcommands(t: Test, ...words: string[]): Promise<string[]> {
  const [, list = ''] = (await help(t, words)).split('\nCommands:\n');
  return captured(list, /^ {2}([a-z-]+)(?: |$)/gm);
}

async function help(t: Test, words: string[]): Promise<string> {
  const { code, stdout } = await run(t, [...words, '--help']);
  if (code !== 0) throw new Error(`${words.join(' ')} --help failed`);
  return stdout;
}

/** The first group of each match. */
function captured(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([, group = '']) => group);
}

function sorted(names: Iterable<string>): string[] {
  return [...new Set(names)].sort();
}
