import t from 'tap';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { refuses } from '../helpers/refusal.ts';

const parse = (document: object) => parseAuthDocument(JSON.stringify(document));
const tokens = {
  access_token: 'access',
  id_token: 'id',
  refresh_token: 'refresh',
  account_id: 'a',
};
const record = {
  agent_runtime_id: 'agent-1',
  agent_private_key: 'key',
  account_id: 'account-1',
  chatgpt_user_id: 'user-1',
  email: 'someone@example.com',
  plan_type: 'pro',
  chatgpt_account_is_fedramp: true,
  task_id: ' task/1 ',
};

t.test('reads what Codex writes', async (t) => {
  const document = parse({ tokens, OPENAI_API_KEY: ' sk\n', last_refresh: '2026-11-20T00:00:00Z' });
  t.equal(document.apiKey?.reveal(), 'sk');
  t.equal(document.tokens?.accessToken.reveal(), 'access');
  t.equal(document.tokens?.idToken?.reveal(), 'id');
  t.equal(document.tokens?.refreshToken?.reveal(), 'refresh');
  t.equal(document.tokens?.accountId, 'a');
  t.equal(document.lastRefresh, '2026-11-20T00:00:00Z');
});

t.test('agent_identity is a JWT or a record, never both', async (t) => {
  const jwt = parse({ agent_identity: ' head.body.sig ' });
  t.equal(jwt.identityToken?.reveal(), 'head.body.sig');
  t.equal(jwt.identityRecord, null);
  const registered = parse({ agent_identity: record });
  t.equal(registered.identityToken, null);
  t.equal(registered.identityRecord?.privateKey.reveal(), 'key');
  t.match(registered.identityRecord, {
    agentRuntimeId: 'agent-1',
    accountId: 'account-1',
    userId: 'user-1',
    email: 'someone@example.com',
    planType: 'pro',
    fedramp: true,
    taskId: ' task/1 ',
  });
});

t.test('blank and null are the same as absent', async (t) => {
  for (const blank of ['', '  \n', null]) {
    const document = parse({
      auth_mode: 'chatgpt',
      OPENAI_API_KEY: blank,
      personal_access_token: blank,
      last_refresh: blank,
      tokens: { access_token: 'access', id_token: blank, refresh_token: blank, account_id: blank },
      agent_identity: { ...record, task_id: blank, email: blank, plan_type: blank },
    });
    t.strictSame(
      [document.apiKey, document.personalAccessToken, document.lastRefresh],
      [null, null, null],
    );
    t.match(document.tokens, { idToken: null, refreshToken: null, accountId: null });
    t.match(document.identityRecord, { taskId: null, email: null, planType: null });
  }
  t.equal(parse({ agent_identity: '' }).identityToken, null);
  t.equal(parse({ agent_identity: null }).identityRecord, null);
  t.equal(parse({ tokens: null }).tokens, null);
});

const TEXT = 'must be a string';
const WRONG: [document: object, message: string][] = [
  [{ OPENAI_API_KEY: ['hush'] }, `OPENAI_API_KEY: ${TEXT}`],
  [{ personal_access_token: { hush: 1 } }, `personal_access_token: ${TEXT}`],
  [{ tokens: 'hush' }, 'tokens: must be an object'],
  [{ tokens: ['hush'] }, 'tokens: must be an object'],
  [{ tokens: { refresh_token: 'hush' } }, 'tokens.access_token: is missing'],
  [{ tokens: { access_token: ' ' } }, 'tokens.access_token: is missing'],
  [{ tokens: { access_token: { hush: 1 } } }, `tokens.access_token: ${TEXT}`],
  [{ tokens: { ...tokens, id_token: ['hush'] } }, `tokens.id_token: ${TEXT}`],
  [{ tokens: { ...tokens, refresh_token: 7 } }, `tokens.refresh_token: ${TEXT}`],
  [{ tokens: { ...tokens, account_id: 7 } }, `tokens.account_id: ${TEXT}`],
  [{ agent_identity: ['hush'] }, 'agent_identity: must be a JWT or a record'],
  [{ agent_identity: 7 }, 'agent_identity: must be a JWT or a record'],
  [{ agent_identity: false }, 'agent_identity: must be a JWT or a record'],
  [
    { agent_identity: { ...record, agent_private_key: ['hush'] } },
    `agent_identity.agent_private_key: ${TEXT}`,
  ],
  [{ agent_identity: { ...record, task_id: 7 } }, `agent_identity.task_id: ${TEXT}`],
  [
    { agent_identity: { ...record, chatgpt_account_is_fedramp: 'hush' } },
    'agent_identity.chatgpt_account_is_fedramp: must be true or false',
  ],
];

for (const name of ['agent_runtime_id', 'agent_private_key', 'account_id', 'chatgpt_user_id']) {
  WRONG.push([
    { agent_identity: { ...record, [name]: ' ' } },
    `agent_identity.${name}: is missing`,
  ]);
}

for (const [document, message] of WRONG) {
  t.test(`names the field: ${message}`, async (t) => {
    await refuses(t, () => parse(document), `auth.json ${message}`, ['hush']);
  });
}

t.test('a value that no header can carry is refused at once', async (t) => {
  const problem =
    'holds a space, a line break or a character that is not ASCII, or is too long for a header';
  const places: [place: string, document: (value: string) => object][] = [
    ['OPENAI_API_KEY', (value) => ({ OPENAI_API_KEY: value })],
    ['personal_access_token', (value) => ({ personal_access_token: value })],
    ['tokens.access_token', (value) => ({ tokens: { access_token: value } })],
    ['tokens.account_id', (value) => ({ tokens: { ...tokens, account_id: value } })],
    ['agent_identity', (value) => ({ agent_identity: value })],
    [
      'agent_identity.account_id',
      (value) => ({ agent_identity: { ...record, account_id: value } }),
    ],
  ];
  for (const [place, document] of places) {
    for (const value of [
      'hush\nwrapped',
      'hush hush',
      'hushé',
      'hush\r\nx-injected: 1',
      'hush\0',
    ]) {
      await refuses(t, () => parse(document(value)), `auth.json ${place}: ${problem}`, ['hush']);
    }
  }
});

t.test(
  'a damaged record is no obstacle beside a login, and the credential itself alone',
  async (t) => {
    const damaged = { ...record, chatgpt_user_id: undefined };
    const document = parse({ auth_mode: 'chatgpt', tokens, agent_identity: damaged });
    t.equal(document.identityRecord, null);
    t.match(document.recordProblem?.message, /agent_identity\.chatgpt_user_id: is missing/);
    t.throws(() => parse({ auth_mode: 'agentIdentity', agent_identity: damaged }), {
      code: 'AUTH_CREDENTIAL_INVALID',
    });
  },
);

t.test('a stored id is checked where it enters', async (t) => {
  for (const id of ['.', '..', 'x'.repeat(5000), '\ud800']) {
    const wrong = { ...record, agent_runtime_id: id };
    await refuses(
      t,
      () => parse({ auth_mode: 'agentIdentity', agent_identity: wrong }),
      'auth.json agent_identity.agent_runtime_id: is not an id that a path can carry',
      ['hush'],
    );
  }
  const { identityRecord } = parse({ agent_identity: { ...record, task_id: 'x'.repeat(5000) } });
  t.equal(identityRecord?.taskId, null, 'a new task takes its place');
});

t.test('a refresh token may be any text, for it travels in a body', async (t) => {
  const document = parse({ tokens: { ...tokens, refresh_token: 'r \u00fc\n1 ' } });
  t.equal(document.tokens?.refreshToken?.reveal(), 'r \u00fc\n1');
});
