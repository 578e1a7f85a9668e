import t from 'tap';
import { scrape } from '../../src/admin/prometheus.ts';
import { buildStatus } from '../../src/admin/status.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Scrape } from '../helpers/prometheus.ts';
import { statusInput } from '../helpers/status-input.ts';

t.test('one scrape builds the status once', async (t) => {
  let built = 0;
  const status = () => {
    built++;
    return buildStatus(statusInput({ clockSkewSeconds: 3 }));
  };
  const sources = { metrics: new Metrics(), status, listeners: () => 2, auditLost: () => 4 };
  const text = new Scrape(scrape(sources));
  t.equal(built, 1);
  t.equal(text.value('codex_auth_sidecar_clock_skew_seconds'), 3);
  t.equal(text.value('codex_auth_sidecar_event_listeners'), 2);
  t.equal(text.value('codex_auth_sidecar_audit_lost_lines_total'), 4);
});

t.test('without an audit log nothing counts its lines', async (t) => {
  const status = () => buildStatus(statusInput());
  const text = scrape({ metrics: new Metrics(), status, listeners: () => 0, auditLost: null });
  t.notMatch(text, 'audit_lost');
  t.notMatch(text, /^codex_auth_sidecar_clock_skew_seconds/m, 'not known, so it has no value');
});
