import { readFileSync } from 'node:fs';
import t from 'tap';
import { send } from '../helpers/exchange.ts';
import { Records } from '../helpers/exchange-record.ts';
import { allMetricNames, Scrape } from '../helpers/prometheus.ts';
import { RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';

const text = readFileSync('deploy/grafana-dashboard.json', 'utf8');
const NAME = /\b(?:codex_auth_sidecar|process|nodejs)_\w+/g;

t.test('every metric that the dashboard asks for exists, and it shows each of ours', async (t) => {
  const { url, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  await untilStatus(url, ({ status }) => status === 'ready');
  await send(url + RESPONSES, { method: 'POST', body: '{}' });
  const seen = records.all.length;
  await send(`${url}/livez`);
  await records.nth(seen + 1);
  const known = new Set([...(await Scrape.of(url)).names(), ...allMetricNames()]);
  const asked = new Set([...text.matchAll(NAME)].map(([name]) => name.replace(/_bucket$/, '')));
  for (const name of asked) t.ok(known.has(name), name);
  for (const name of known) {
    if (name.startsWith('codex_auth_sidecar_')) t.ok(asked.has(name), `${name} is shown`);
  }
});

t.test('panels do not lie on each other, and have queries', async (t) => {
  const { panels } = JSON.parse(text);
  const taken = new Map<string, string>();
  const overlaps: string[] = [];
  for (const { title, gridPos, targets } of panels) {
    t.ok(targets.length > 0 && gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const other = taken.get(`${x} ${y}`);
        if (other) overlaps.push(`${title} on ${other}`);
        taken.set(`${x} ${y}`, title);
      }
    }
  }
  t.strictSame(overlaps, []);
});
