import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildClientsEvent, MOST_SHOWN } from '../../src/admin/clients.ts';
import { UsageBook } from '../../src/clients/usage-book.ts';
import { clientsTable } from '../../src/commands/status/clients-table.ts';
import { EventStream } from '../helpers/event-stream.ts';
import { send } from '../helpers/exchange.ts';
import { Records } from '../helpers/exchange-record.ts';
import { Scrape } from '../helpers/prometheus.ts';
import { makeFolder, RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';

const TOKEN = (name: string) => ({ 'x-sidecar-token': `token of ${name}` });
const TURN = JSON.stringify({
  ...{ model: 'gpt-emulated', instructions: '', input: [], store: false, stream: true },
});
const LIMITS = {
  'x-codex-primary-used-percent': '41',
  'x-codex-primary-window-minutes': '300',
  'x-codex-primary-reset-at': '4102444800',
};

async function startWithClients(t: Test, lines: Record<string, string>, config = {}) {
  const tokensFile = join(await makeFolder(t), 'tokens');
  const digest = (name: string) => createHash('sha256').update(`token of ${name}`).digest('hex');
  const text = Object.entries(lines).map(([name, limits]) => `${name}:${digest(name)} ${limits}`);
  await writeFile(tokensFile, text.join('\n'));
  const scene = await startSidecarWithEmulator(t, {
    config: { clients: { tokensFile }, ...config },
  });
  scene.emulator.addFault({ path: RESPONSES, times: 0, headers: LIMITS });
  const records = new Records(scene.sidecar);
  const infer = async (name: string) => {
    const seen = records.all.length;
    const headers = { ...TOKEN(name), 'content-type': 'application/json' };
    await send(scene.url + RESPONSES, { method: 'POST', headers, body: TURN });
    await records.nth(seen + 1);
  };
  return { ...scene, infer };
}

t.test('what each client took, its limits, and those of the account', async (t) => {
  const { url, emulator, infer } = await startWithClients(t, {
    busy: 'for=inference input-tokens=5000 output-tokens=100 models=gpt-*',
    idle: '',
    late: 'expires=2026-01-01T00:00:00Z',
  });
  await infer('busy');
  await infer('busy');
  await infer('late');
  const { status, text } = await send(`${url}/auth/clients`);
  t.equal(status, 200);
  const { clients, accountLimits, usageRead } = JSON.parse(text);
  const told = emulator.records.map(({ usage }) => usage?.input ?? 0);
  const input = told.reduce((sum, tokens) => sum + tokens, 0);
  t.equal(usageRead, true);
  t.match(clients, [
    {
      ...{ name: 'busy', state: 'valid', models: ['gpt-*'] },
      today: { requests: 2, turns: 2, tokens: { input }, models: { 'gpt-emulated': { turns: 2 } } },
      limits: [
        { name: 'input-tokens', limit: 5000, used: input },
        { name: 'output-tokens', limit: 100 },
      ],
      days: [{ turns: 2 }],
    },
    { name: 'idle', state: 'valid', today: { turns: 0 }, limits: [], days: [], models: null },
    {
      ...{ name: 'late', state: 'expired', expiresAt: '2026-01-01T00:00:00Z' },
      today: { requests: 1, turns: 0 },
    },
  ]);
  t.equal(clients.length, 3);
  t.match(accountLimits, [{ limit: 'codex', window: 'primary', usedPercent: 41 }]);
  const scrape = await Scrape.of(url);
  const labels = { client: 'busy', model: 'gpt-emulated', type: 'input' };
  t.equal(scrape.value('codex_auth_sidecar_tokens_total', labels), input);
  t.equal(scrape.value('codex_auth_sidecar_account_limit_used_ratio', { limit: 'codex' }), 0.41);
});

t.test('without tokens everybody is one client, and a removed one stays for the day', async (t) => {
  const { url, sidecar, infer } = await startWithClients(t, { busy: '' });
  await infer('busy');
  await writeFile(String(sidecar.live.config.clients.tokensFile), '');
  await sidecar.reload();
  const removed = JSON.parse((await send(`${url}/auth/clients`)).text);
  t.match(removed.clients, [{ name: 'busy', state: 'removed', today: { turns: 1 } }]);
  const open = await startSidecarWithEmulator(t);
  const records = new Records(open.sidecar);
  const before = JSON.parse((await send(`${open.url}/auth/clients`)).text);
  t.match(before.clients, [{ name: null, state: 'valid', today: { requests: 0 } }]);
  await send(open.url + RESPONSES, { method: 'POST', body: '{}' });
  await records.nth(2);
  const after = JSON.parse((await send(`${open.url}/auth/clients`)).text);
  t.match(after.clients, [{ name: null, today: { requests: 1, turns: 1 } }]);
});

t.test('with usage.enabled false nothing is read, but the limits in headers', async (t) => {
  const { url, infer } = await startWithClients(t, { busy: '' }, { usage: { enabled: false } });
  await infer('busy');
  const { clients, accountLimits, usageRead } = JSON.parse(
    (await send(`${url}/auth/clients`)).text,
  );
  t.equal(usageRead, false);
  t.match(clients, [{ today: { requests: 1, turns: 0, tokens: { input: 0 } } }]);
  t.equal(accountLimits.length, 1);
});

t.test('the page follows, without another request', async (t) => {
  const { url, infer } = await startWithClients(t, { busy: 'input-tokens=5000' });
  const stream = await EventStream.open(t, url);
  t.match(await stream.next('clients'), {
    clients: [{ name: 'busy', today: { turns: 0 } }],
  });
  await infer('busy');
  const data = await stream.next('clients', ({ clients }) => clients[0].today.turns > 0);
  t.match(data, { clients: [{ name: 'busy', today: { turns: 1 } }], more: 0 });
  t.notOk('days' in data.clients[0], 'and not with the days before');
});

t.test('of many clients the page gets those that took most', async (t) => {
  const book = new UsageBook();
  const usage = { input: 1, cached: 0, output: 0, reasoning: 0 };
  const names = Array.from({ length: MOST_SHOWN + 10 }, (_, i) => `client-${i}`);
  for (const [i, name] of names.entries()) {
    for (let turn = 0; turn < i; turn++)
      book.addTurn(name, { model: null, usage, unknown: null }, 0);
  }
  const counts = { requestsLastMinute: 0, openStreams: 0, tokensToday: { input: 0, output: 0 } };
  const rest = { usageRead: true, accountLimits: [], now: 0, counters: { of: () => counts } };
  const none = { expiresAt: null, purpose: null, routes: null, limits: null };
  const tokens = names.map((name) => ({ name, ...none }));
  const { clients, more } = buildClientsEvent({ ...rest, tokens, book });
  t.equal(more, 10);
  t.equal(clients.length, MOST_SHOWN);
  t.equal(clients[0]?.name, names.at(-1));
});

t.test('the table of the command', async (t) => {
  const tokens = { input: 9200, cached: 8000, output: 410, reasoning: 12 };
  const today = { day: '2026-11-27', requests: 7, turns: 6, unknown: 1, tokens, models: {} };
  const base = { expiresAt: null, requestsLastMinute: 1, openStreams: 2, today, models: null };
  const limits = [{ name: 'input-tokens', limit: 10_000, used: 9_200 }];
  const accountLimit = { limit: 'codex', window: 'primary' as const, windowMinutes: 300 };
  const lines = clientsTable(
    {
      usageRead: true,
      accountLimits: [
        { ...accountLimit, usedPercent: 41, resetsAt: '2026-11-27T13:00:00Z', seenAt: '' },
        { ...accountLimit, usedPercent: null, resetsAt: '2026-11-27T11:00:00Z', seenAt: '' },
      ],
      clients: [
        { name: 'agent-1', state: 'valid', ...base, limits, days: [] },
        { name: null, state: 'valid', ...base, openStreams: null, limits: [], days: [] },
      ],
    },
    Date.parse('2026-11-27T12:00:00Z'),
  );
  t.strictSame(lines, [
    'client    state  requests  open  input  cached  output  unknown  limits',
    'agent-1   valid         7     2   9200    8000     410        1  input-tokens 9200/10000',
    '(anyone)  valid         7     -   9200    8000     410        1',
    '',
    'account limit codex, primary (300 min): 41 % used, resets at 2026-11-27T13:00:00Z',
    'account limit codex, primary (300 min): not known since its reset',
  ]);
});
