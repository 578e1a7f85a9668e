import t from 'tap';
import { Records } from '../helpers/exchange-record.ts';
import { mixedTurns, toldByBackend } from '../helpers/mixed-turns.ts';
import { Scrape } from '../helpers/prometheus.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';

/** TURNS=10000 makes a long run of it, of some minutes. */
const TURNS = Number(process.env.TURNS ?? 400);

const tokens = (scrape: Scrape) =>
  Object.fromEntries(
    ['input', 'cached', 'output', 'reasoning'].map((type) => [
      type,
      scrape.value('codex_auth_sidecar_tokens_total', { type }),
    ]),
  );

t.test('the sum of mixed turns, some of them aborted, is what the backend counted', async (t) => {
  const { url, emulator, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  const { completed, broken, exchanges } = await mixedTurns(url, emulator, TURNS, 5);
  await records.nth(exchanges);
  const scrape = await Scrape.of(url);
  t.strictSame(tokens(scrape), toldByBackend(emulator));
  t.equal(scrape.value('codex_auth_sidecar_turns_total'), completed);
  const unknown = (reason: string) =>
    scrape.value('codex_auth_sidecar_unknown_turns_total', { reason });
  t.equal(unknown('unfinished'), broken);
  t.equal(unknown('unreadable'), 0);
  t.ok(completed > 100 && broken > 100, 'there were many of both');
});
