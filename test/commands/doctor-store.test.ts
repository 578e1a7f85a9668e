import t from 'tap';
import { certificateFindings } from '../../src/commands/doctor/store.ts';

const NOW = Date.UTC(2026, 10, 27);
const inDays = (days: number) => certificateFindings(NOW + days * 86_400_000, NOW);

t.test('how long the certificate of the database is valid', async (t) => {
  t.strictSame(certificateFindings(null, NOW), [], 'nothing without TLS');
  t.match(inDays(90), [{ outcome: 'ok', message: /valid for 90 more days, until 2027-02-25/ }]);
  t.match(inDays(13), [{ outcome: 'warning', remedy: 'renew it' }]);
});
