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

t.test(
  'a shared store shows its state; a file shows only whether it holds the tokens',
  async (t) => {
    const sources = { metrics: new Metrics(), listeners: () => 0, auditLost: null };
    const file = new Scrape(scrape({ ...sources, status: () => buildStatus(statusInput()) }));
    t.equal(file.value('codex_auth_sidecar_store_unwritten'), 0);
    t.notMatch(
      scrape({ ...sources, status: () => buildStatus(statusInput()) }),
      /^codex_auth_sidecar_store_up /m,
    );
    sources.metrics.storeOperation({ operation: 'read', outcome: 'ok', seconds: 0.003 });
    const store = {
      kind: 'postgres',
      location: 'db:5432/auth#default',
      reachable: false,
      lastContactAt: '2026-11-20T21:30:36.000Z',
      lastError: 'the store cannot be reached',
      version: 41,
      login: 1,
      rotation: 17,
      keyId: null,
      synchronous: null,
      refresh: { state: 'uncertain', by: 'a', since: null, code: null, ageSeconds: 70 },
      writtenBack: 2,
    } as const;
    const text = scrape({ ...sources, status: () => buildStatus(statusInput({ store })) });
    const lines = [
      'store_up 0',
      'store_last_contact_timestamp_seconds 1795210236',
      'store_rotation 17',
      'store_written_back_total 2',
      'refresh_state{state="uncertain"} 1',
      'refresh_state{state="idle"} 0',
      'refresh_attempt_age_seconds 70',
      'store_operations_total{operation="read",outcome="ok"} 1',
      'store_operation_seconds_bucket{le="0.005",operation="read"} 1',
    ];
    for (const line of lines) t.ok(text.includes(`\ncodex_auth_sidecar_${line}\n`), line);
  },
);
