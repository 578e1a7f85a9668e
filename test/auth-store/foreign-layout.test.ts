import { rmSync } from 'node:fs';
import t from 'tap';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { readForeignLayout } from '../../src/auth-store/foreign-layout.ts';
import { Secret } from '../../src/base/secret.ts';
import { takeLogin } from '../../src/commands/login/index.ts';
import { selectCredential } from '../../src/credentials/selection.ts';

const NOTHING = { apiKey: null, accessToken: null, agentIdentity: null, workload: null };
const PAIR = { access: 'a', refresh: 'r', expires: 1_795_210_236_000 };
const TOKENS = { access_token: 'a', refresh_token: 'r' };

const LAYOUTS: [tool: string, raw: Record<string, unknown>, document: unknown][] = [
  ['opencode', { openai: { type: 'oauth', ...PAIR } }, { auth_mode: 'chatgpt', tokens: TOKENS }],
  [
    'opencode',
    { anthropic: {}, openai: { type: 'api', key: 'sk-1' } },
    { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-1' },
  ],
  [
    'pi',
    { 'openai-codex': { type: 'oauth', ...PAIR, accountId: 'acc-1' } },
    { auth_mode: 'chatgpt', tokens: { ...TOKENS, account_id: 'acc-1' } },
  ],
  [
    'CLIProxyAPI',
    { type: 'codex', ...TOKENS, id_token: 'i', account_id: 'acc-1', last_refresh: 'x', email: 'e' },
    { auth_mode: 'chatgpt', tokens: { ...TOKENS, id_token: 'i', account_id: 'acc-1' } },
  ],
  ['opencode', { openai: { type: 'oauth', access: 'a' } }, null],
  ['another tool', { refresh_token: 'r' }, null],
];

for (const [tool, raw, document] of LAYOUTS) {
  t.test(`messages know the neighbourhood: ${tool} ${Object.keys(raw)}`, async (t) => {
    t.strictSame(readForeignLayout(raw), { tool, document });
    const load = async () => parseAuthDocument(JSON.stringify(raw));
    await t.rejects(selectCredential(NOTHING, load), {
      code: 'AUTH_CREDENTIAL_INVALID',
      message: `auth.json: has the layout of ${tool}; move it elsewhere, and take it over with "codex-auth-sidecar login --import FILE"`,
    });
  });
}

t.test("Codex's own layout and unrelated files are no other tool's", async (t) => {
  const own = [
    {},
    { tokens: TOKENS },
    { OPENAI_API_KEY: 'sk-1' },
    { openai: 'text' },
    { ...TOKENS, tokens: TOKENS },
  ];
  for (const raw of own) t.equal(readForeignLayout(raw), null, JSON.stringify(raw));
});

const TIMES: [value: unknown, read: string | null][] = [
  [1_795_210_236, '2026-11-20T21:30:36.000Z'],
  [1_795_210_236_000, '2026-11-20T21:30:36.000Z'],
  ['2026-11-20T21:30:36Z', '2026-11-20T21:30:36Z'],
  [1e300, null],
  [{ seconds: 1 }, null],
  [true, null],
];
for (const [value, read] of TIMES) {
  t.test(`a harmless field refuses no login: last_refresh ${JSON.stringify(value)}`, async (t) => {
    const document = parseAuthDocument(JSON.stringify({ tokens: TOKENS, last_refresh: value }));
    t.equal(document.lastRefresh, read);
  });
}

for (const quoted of ['"sk-1"', "'sk-1'", '""']) {
  t.test(`a key that an env file left in quotes goes nowhere: ${quoted}`, async (t) => {
    const environment = { ...NOTHING, apiKey: new Secret(quoted) };
    await t.rejects(
      selectCredential(environment, async () => null),
      {
        message: 'CODEX_API_KEY: stands in quotes, which env files keep; write it without them',
      },
    );
  });
}

t.test('without a login, the message knows that Codex may keep it in the keyring', async (t) => {
  await t.rejects(
    selectCredential(NOTHING, async () => null),
    {
      code: 'AUTH_NOT_CONFIGURED',
      message: /cli_auth_credentials_store = "file"/,
    },
  );
});

t.test("a login is not moved out of another tool's file, which would still hold it", async (t) => {
  const [from, to] = [
    t.testdir({ 'auth.json': JSON.stringify(LAYOUTS[0]?.[1]) }),
    `${t.testdirName}-to`,
  ];
  t.teardown(() => rmSync(to, { recursive: true, force: true }));
  const input = { kind: 'import', path: `${from}/auth.json`, take: true } as const;
  await t.rejects(takeLogin(new FileAuthStore(to), input), {
    message: /has the layout of opencode/,
  });
});
