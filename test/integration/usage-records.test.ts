import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { send } from '../helpers/exchange.ts';
import { Records } from '../helpers/exchange-record.ts';
import { takeTurn, toldByBackend } from '../helpers/mixed-turns.ts';
import { Scrape } from '../helpers/prometheus.ts';
import { MODELS, RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';

const USED = {
  'x-codex-primary-used-percent': '100',
  'x-codex-primary-window-minutes': '300',
  'x-codex-primary-reset-at': '4102444800',
};
const TURN = JSON.stringify({
  ...{ model: 'gpt-x', instructions: '', input: [], store: false, stream: true },
});
const post = (headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: TURN,
});

t.test('the record of a stream names model and tokens, compressed or not', async (t) => {
  const { url, emulator, sidecar } = await startSidecarWithEmulator(t);
  emulator.settings.compression = 'gzip';
  const records = new Records(sidecar);
  for (const [i, headers] of [{}, { 'accept-encoding': 'gzip' }].entries()) {
    const { headers: sent } = await send(url + RESPONSES, post(headers));
    t.equal(sent['content-encoding'], i === 0 ? undefined : 'gzip');
    const { model, tokens, outcome } = await records.nth(i + 1);
    t.strictSame([model, outcome], ['gpt-x', 'complete']);
    t.strictSame(tokens, emulator.records[i]?.usage);
  }
  await send(url + MODELS);
  t.match(await records.nth(3), { model: null, tokens: null });
});

t.test('the record of a WebSocket has the sum of its turns, and the last model', async (t) => {
  const { url, emulator, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  for (const perMessageDeflate of [false, true]) {
    const client = new WebSocket(url.replace('http', 'ws') + RESPONSES, { perMessageDeflate });
    await once(client, 'open');
    for (const model of ['gpt-a', 'gpt-b']) await takeTurn(client, model);
    client.close();
    const { model, tokens } = await records.nth(perMessageDeflate ? 2 : 1);
    t.equal(model, 'gpt-b');
    t.strictSame(tokens, emulator.records.at(-1)?.usage);
  }
  const scrape = await Scrape.of(url);
  const { input } = toldByBackend(emulator);
  t.equal(scrape.value('codex_auth_sidecar_tokens_total', { type: 'input' }), input);
  t.equal(scrape.value('codex_auth_sidecar_turns_total', { model: 'gpt-a' }), 2);
});

t.test('a 429 of the quota is counted apart from others, and tells the limits', async (t) => {
  const { url, emulator, sidecar } = await startSidecarWithEmulator(t);
  const records = new Records(sidecar);
  const quota = { error: { type: 'usage_limit_reached', resets_in_seconds: 60 } };
  const other = { error: { type: 'rate_limit_exceeded' } };
  emulator.addFault({ path: RESPONSES, status: 429, body: quota, headers: USED });
  emulator.addFault({ path: RESPONSES, status: 429, body: other, times: 2 });
  const bodies: string[] = [];
  for (let i = 0; i < 3; i++) bodies.push((await send(url + RESPONSES, post())).text);
  t.strictSame(
    bodies,
    [quota, other, other].map((body) => JSON.stringify(body)),
    'as they came',
  );
  await records.nth(3);
  const scrape = await Scrape.of(url);
  const limited = (reason: string) =>
    scrape.value('codex_auth_sidecar_rate_limited_total', { reason });
  t.strictSame([limited('quota'), limited('other')], [1, 2]);
  t.equal(scrape.value('codex_auth_sidecar_account_limit_used_ratio'), 1);
  t.equal(scrape.value('codex_auth_sidecar_unknown_turns_total'), 0);
});

t.test('the limits of an account are forgotten with it', async (t) => {
  const { url, emulator, codexHome } = await startSidecarWithEmulator(t);
  emulator.addFault({ path: RESPONSES, times: 1, headers: USED });
  await send(url + RESPONSES, post());
  const before = await untilStatus(url, ({ accountLimits }) => accountLimits.length > 0);
  t.match(before.accountLimits, [{ limit: 'codex', usedPercent: 100 }]);
  const { authJson } = emulator.issueLogin({ planType: 'plus' });
  await writeFile(join(codexHome, 'auth.json'), JSON.stringify(authJson));
  const after = await untilStatus(url, ({ planType }) => planType === 'plus');
  t.strictSame(after.accountLimits, []);
});

t.test('limits that another upstream claims are not those of the account', async (t) => {
  const { url, emulator, sidecar } = await startSidecarWithEmulator(t, {
    credential: (backend) => ({ env: { CODEX_API_KEY: backend.issueApiKey() } }),
  });
  const records = new Records(sidecar);
  emulator.addFault({ path: '/v1/responses', times: 0, headers: USED });
  t.equal((await send(url + RESPONSES, post())).status, 200);
  const { tokens } = await records.nth(1);
  t.strictSame(tokens, emulator.records.at(-1)?.usage, 'its usage counts');
  const status = await untilStatus(url, ({ authMode }) => authMode === 'apikey');
  t.strictSame(status.accountLimits, []);
});
