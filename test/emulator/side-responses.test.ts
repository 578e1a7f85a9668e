import t from 'tap';
import { bearerHeaders, call, dial, RESPONSES, start, turn } from './client.ts';

const NOW = Date.UTC(2026, 10, 20, 12);

t.test(
  'usage, profile and accounts are those of the account, at the time of the backend',
  async (t) => {
    const emulator = await start(t, { now: () => NOW });
    const headers = bearerHeaders(
      emulator.issueLogin({ planType: 'team', accountId: 'account-1' }),
    );
    const get = async (path: string) =>
      (await call(`${emulator.upstream.chatgptBaseUrl}/${path}`, { headers })).body;
    t.match(await get('wham/usage'), {
      plan_type: 'team',
      rate_limit: {
        primary_window: { limit_window_seconds: 18_000, reset_at: NOW / 1000 + 9_000 },
        secondary_window: { limit_window_seconds: 604_800, reset_at: NOW / 1000 + 302_400 },
      },
    });
    t.match(await get('wham/profiles/me'), {
      stats: { daily_usage_buckets: [{ start_date: '2026-11-19' }, { start_date: '2026-11-20' }] },
    });
    t.match(await get('connectors/directory/list?external_logos=true'), { apps: [] });
    t.match(await get('wham/accounts/check'), {
      accounts: [{ id: 'account-1', workspace_backend_origin: 'https://chatgpt.com' }],
    });
    emulator.settings.workspaceBackendOrigin = 'https://evil.example';
    t.match(await get('wham/accounts/check'), {
      accounts: [{ workspace_backend_origin: 'https://evil.example' }],
    });
    emulator.settings.workspaceBackendOrigin = null;
    const { accounts } = await get('wham/accounts/check');
    t.notOk('workspace_backend_origin' in (accounts as [object])[0]);
    t.strictSame(await get('wham/something/else'), { ok: true });
  },
);

t.test('inference tells the same limits, when it is told to', async (t) => {
  const emulator = await start(t, { now: () => NOW });
  const headers = bearerHeaders(emulator.issueLogin({ planType: 'team' }));
  const create = { type: 'response.create', input: [] };
  const silent = await call(emulator.url + RESPONSES, { headers, body: {} });
  t.notMatch(Object.keys(silent.headers).join(), 'x-codex-primary');
  emulator.settings.tellLimits = true;
  const told = await call(emulator.url + RESPONSES, { headers, body: {} });
  t.match(told.headers, {
    'x-codex-primary-used-percent': '12',
    'x-codex-primary-window-minutes': '300',
    'x-codex-primary-reset-at': `${NOW / 1000 + 9_000}`,
    'x-codex-secondary-used-percent': '34',
  });
  const [event] = await turn(await dial(emulator, headers), create);
  t.match(event, {
    type: 'codex.rate_limits',
    plan_type: 'team',
    rate_limits: { primary: { used_percent: 12, window_minutes: 300 } },
  });
});

t.test('apps speak the Model Context Protocol, and have no tool', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const url = `${emulator.upstream.chatgptBaseUrl}/ps/mcp`;
  const say = (message: object, sent: Record<string, string> = headers) =>
    call(url, { headers: sent, body: { jsonrpc: '2.0', ...message } });
  const params = { protocolVersion: '2025-06-18' };
  const { body } = await say({ id: 1, method: 'initialize', params });
  t.match(body, { id: 1, result: { ...params, capabilities: { tools: {} } } });
  t.equal((await say({ method: 'notifications/initialized' })).status, 202);
  t.match((await say({ id: 'b', method: 'tools/list' })).body, { id: 'b', result: { tools: [] } });
  t.match((await say({ id: 2, method: 'ping' })).body, { id: 2, result: {} });
  t.match((await say({ id: 3, method: 'resources/list' })).body, { error: { code: -32601 } });
  t.equal((await say({ id: 4, method: 'ping' }, {})).status, 401);
  t.equal((await call(url, { headers })).status, 405);
});
