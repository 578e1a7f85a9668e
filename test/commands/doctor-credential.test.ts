import t, { type Test } from 'tap';
import { encodeAgentKey, generateAgentKey } from '../../src/agent-identity/keys.ts';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { SidecarError } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { checkCredential } from '../../src/commands/doctor/credential.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { selectCredential } from '../../src/credentials/selection.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { chatGptToken } from '../helpers/stored-login.ts';

const withIdentity = resolveConfig({ agentIdentity: { policy: 'chatgptAuth' } });
const NOW = Date.parse('2026-11-21T12:00:00Z');
const HOUR = 3600;
const NONE = { apiKey: null, accessToken: null, agentIdentity: null, workload: null };

const fromEnvironment = (name: keyof typeof NONE, value: string) =>
  selectCredential({ ...NONE, [name]: new Secret(value) }, async () => null);
const fromFile = (content: object) =>
  selectCredential(NONE, async () => parseAuthDocument(JSON.stringify(content)));

function login(expiresIn: number | null, refresh_token?: string): object {
  const exp = expiresIn === null ? {} : { exp: NOW / 1000 + expiresIn };
  return { tokens: { access_token: chatGptToken({ accountId: 'a', ...exp }), refresh_token } };
}

const RECORD = {
  agent_runtime_id: 'r',
  agent_private_key: encodeAgentKey(generateAgentKey()),
  account_id: 'a',
  chatgpt_user_id: 'u',
};
const BROKEN_RECORD = { ...RECORD, agent_private_key: 'AAAA' };

type Expected = [outcome: string, message: RegExp][];
const CASES: [name: string, selection: () => ReturnType<typeof fromFile>, expected: Expected][] = [
  ['an API key', () => fromEnvironment('apiKey', 'sk-x'), [['ok', /^API key from CODEX_API_KEY$/]]],
  [
    'a personal access token',
    () => fromEnvironment('accessToken', 'at-x'),
    [['ok', /^personal access token from CODEX_ACCESS_TOKEN$/]],
  ],
  [
    'a login that lives',
    () => fromFile(login(HOUR, 'r')),
    [
      ['ok', /access token valid until 2026-11-21T13:00:00\.000Z$/],
      ['absent', /^none yet/],
    ],
  ],
  [
    'a login without a date',
    () => fromFile(login(null)),
    [
      ['ok', /auth\.json$/],
      ['absent', /^none/],
    ],
  ],
  [
    'a login that cannot be refreshed',
    () => fromFile(login(HOUR)),
    [
      ['warning', /no refresh token$/],
      ['absent', /^none/],
    ],
  ],
  [
    'a login that is over',
    () => fromFile(login(-HOUR, 'r')),
    [
      ['warning', /expired at 2026-11-21T11:00/],
      ['absent', /^none/],
    ],
  ],
  [
    'a login that is over for good',
    () => fromFile(login(-HOUR)),
    [
      ['failure', /no refresh token$/],
      ['absent', /^none/],
    ],
  ],
  [
    'a login with an identity',
    () => fromFile({ ...login(HOUR, 'r'), agent_identity: RECORD }),
    [
      ['ok', /^ChatGPT login/],
      ['ok', /^SHA256:/],
    ],
  ],
  [
    'a login with an identity that cannot be used',
    () => fromFile({ ...login(HOUR, 'r'), agent_identity: BROKEN_RECORD }),
    [
      ['ok', /^ChatGPT login/],
      ['warning', /agent_private_key/],
    ],
  ],
  [
    'a login with an identity that cannot be read',
    () => fromFile({ ...login(HOUR, 'r'), agent_identity: {} }),
    [
      ['ok', /^ChatGPT login/],
      ['warning', /agent_runtime_id/],
    ],
  ],
  [
    'an identity alone',
    () => fromFile({ agent_identity: RECORD }),
    [
      ['ok', /^Agent Identity record/],
      ['ok', /^SHA256:/],
    ],
  ],
  [
    'an identity alone that cannot be used',
    () => fromFile({ agent_identity: BROKEN_RECORD }),
    [
      ['ok', /^Agent Identity record/],
      ['failure', /agent_private_key/],
    ],
  ],
  [
    'a JWT that is none',
    () => fromEnvironment('accessToken', 'a.b.c'),
    [['failure', /is not a JWT/]],
  ],
];

for (const [name, selection, expected] of CASES) {
  t.test(name, async (t) => {
    const findings = checkCredential(await selection(), withIdentity, NOW);
    t.strictSame(
      findings.map(({ outcome }) => outcome),
      expected.map(([outcome]) => outcome),
    );
    for (const [index, [, message]] of expected.entries())
      t.match(findings[index]?.message, message);
  });
}

t.test('without the policy a stored identity does not matter', async (t) => {
  const selection = await fromFile({ ...login(HOUR, 'r'), agent_identity: BROKEN_RECORD });
  t.match(checkCredential(selection, resolveConfig({}), NOW), { length: 1, 0: { outcome: 'ok' } });
});

t.test(
  'with the second form a stored identity does not matter, and its limits are said',
  async (t) => {
    const agentIdentity = { policy: 'chatgptAuth', form: 'runtimeInstance' };
    const config = resolveConfig({ agentIdentity });
    const says = {
      outcome: 'ok',
      message: /registers a runtime instance \(headers dual\).*not proven/,
    };
    const selection = await fromFile({ ...login(HOUR, 'r'), agent_identity: BROKEN_RECORD });
    t.match(checkCredential(selection, config, NOW), { length: 2, 0: { outcome: 'ok' }, 1: says });
    const token = await fromEnvironment('accessToken', 'at-x');
    t.match(checkCredential(token, config, NOW), { length: 2, 1: says });
  },
);

t.test('no credential', async (t) => {
  const missing = new SidecarError('AUTH_NOT_CONFIGURED', 'no credential: sign in');
  t.match(checkCredential(missing, resolveConfig({}), NOW), [
    { outcome: 'failure', message: 'no credential: sign in' },
  ]);
});

async function jwt(t: Test, expiresInSeconds: number) {
  const emulator = await startEmulator({ now: () => NOW });
  t.teardown(() => emulator.close());
  return fromEnvironment('agentIdentity', emulator.issueIdentityToken({ expiresInSeconds }));
}

const ENDS: [seconds: number, outcome: string, findings: number][] = [
  [48 * HOUR, 'ok', 2],
  [HOUR, 'warning', 2],
  [-HOUR, 'failure', 1],
];

for (const [seconds, outcome, length] of ENDS) {
  t.test(`a JWT that ends in ${seconds} s`, async (t) => {
    const findings = checkCredential(await jwt(t, seconds), resolveConfig({}), NOW);
    t.match(findings, { length, 0: { outcome } });
  });
}
