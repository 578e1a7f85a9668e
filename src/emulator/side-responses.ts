import { usageDocument } from './account-limits.ts';
import type { EmulatedAccount } from './accounts.ts';
import { type EmulatedResponse, json } from './response.ts';
import type { EmulatorState } from './state.ts';

type SideResponse = (account: EmulatedAccount, state: EmulatorState) => EmulatedResponse;

const DAY_MS = 86_400_000;
const DIFF = `diff --git a/emulated.txt b/emulated.txt
new file mode 100644
--- /dev/null
+++ b/emulated.txt
@@ -0,0 +1 @@
+of the emulated task
`;

/** What Codex reads of an account beside inference, by path below `/backend-api` (seen with 0.171.0). */
export const SIDE_RESPONSES: Readonly<Record<string, SideResponse>> = {
  'wham/usage': ({ planType }, { now }) => json(200, usageDocument(planType, now())),
  'wham/rate-limit-reset-credits': () => json(200, { credits: [], available_count: 0 }),
  'wham/profiles/me': profile,
  'wham/accounts/check': accountsCheck,
  'wham/settings/user': ({ email }) => json(200, { email, settings: {} }),
  'connectors/directory/list': () => json(200, { apps: [], nextToken: null }),
  'connectors/directory/list_workspace': () => json(200, { apps: [], nextToken: null }),
  'ps/plugins/installed': () => json(200, { plugins: [], pagination: { next_page_token: null } }),
  'ps/plugins/suggested/codex': () => json(200, { enabled: false, plugins: [] }),
  'ps/plugins/tooling-state/turtle': () => json(200, {}),
  'wham/tasks/:id': () =>
    json(200, {
      current_diff_task_turn: { output_items: [{ type: 'pr', output_diff: { diff: DIFF } }] },
    }),
  'ps/plugins/list': () => json(200, { plugins: [], pagination: { next_page_token: null } }),
  'plugins/featured': () => json(200, []),
};

function profile(_account: EmulatedAccount, state: EmulatorState): EmulatedResponse {
  const day = (before: number) =>
    new Date(state.now() - before * DAY_MS).toISOString().slice(0, 10);
  return json(200, {
    stats: {
      lifetime_tokens: 3000,
      peak_daily_tokens: 2000,
      longest_running_turn_sec: 60,
      current_streak_days: 2,
      longest_streak_days: 2,
      daily_usage_buckets: [
        { start_date: day(1), tokens: 1000 },
        { start_date: day(0), tokens: 2000 },
      ],
    },
  });
}

function accountsCheck(account: EmulatedAccount, { settings }: EmulatorState): EmulatedResponse {
  const { accountId, planType } = account;
  const entry = {
    id: accountId,
    plan_type: planType,
    structure: 'personal',
    account_routing_override: 'NO_CONSTRAINT',
    ...(settings.workspaceBackendOrigin === null
      ? {}
      : { workspace_backend_origin: settings.workspaceBackendOrigin }),
  };
  return json(200, { accounts: [entry], default_account_id: accountId });
}
