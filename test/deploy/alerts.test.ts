import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { read } from '../helpers/deployed.ts';
import { allMetricNames } from '../helpers/prometheus.ts';

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

interface Case {
  input_series: { series: string }[];
  alert_rule_test: { alertname: string; exp_alerts: object[] }[];
}

const FOLDER = 'deploy/prometheus';
const { groups } = parse(read(`${FOLDER}/alerts.yaml`)) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const { tests } = parse(read(`${FOLDER}/alerts.test.yaml`)) as { tests: Case[] };
/** Those that Prometheus makes itself. */
const OF_PROMETHEUS = ['up'];

t.test('every alert asks for metrics that there are', async (t) => {
  const known = allMetricNames();
  t.ok(rules.length > 10);
  for (const { alert, expr } of rules) {
    const asked = expr.match(/\b(?:codex_auth_sidecar|process|nodejs)_\w+/g) ?? [];
    t.ok(asked.length > 0, alert);
    for (const name of asked) t.ok(known.has(name), name);
  }
  for (const { series } of tests.flatMap((one) => one.input_series)) {
    const [name = ''] = /^\w+/.exec(series) ?? [];
    t.ok(known.has(name) || OF_PROMETHEUS.includes(name), name);
  }
});

t.test('every alert says how urgent it is, and what to do', async (t) => {
  for (const { alert, labels, annotations } of rules) {
    t.ok(['critical', 'warning'].includes(labels.severity), alert);
    t.ok(annotations.summary && annotations.description, alert);
  }
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
});

t.test('every alert has a case in which it fires, and one in which it does not', async (t) => {
  const cases = tests.flatMap((one) => one.alert_rule_test);
  const those = (fires: boolean) =>
    cases
      .filter(({ exp_alerts: alerts }) => alerts.length > 0 === fires)
      .map(({ alertname }) => alertname);
  const names = rules.map(({ alert }) => alert).sort();
  for (const fires of [true, false]) t.strictSame(those(fires).sort(), names);
});

t.test('docs/watch.md lists them', async (t) => {
  const listed = read('docs/watch.md').matchAll(/^\| `(Codex\w+)` \| [^|]+ \|$/gm);
  t.strictSame(
    Array.from(listed, ([, name]) => name),
    rules.map(({ alert }) => alert),
  );
});

const promtool = [resolve('.cache/promtool'), '/usr/bin/promtool'].find((path) => existsSync(path));
for (const args of [
  ['check', 'rules', 'alerts.yaml'],
  ['test', 'rules', 'alerts.test.yaml'],
]) {
  const what = `promtool ${args.join(' ')}`;
  const skip = promtool === undefined && `${what}: there is no promtool`;
  t.test(what, { skip }, async (t) => {
    const { status, stdout, stderr } = spawnSync(promtool ?? '', args, {
      cwd: FOLDER,
      encoding: 'utf8',
    });
    t.equal(status, 0, stdout + stderr);
  });
}
