import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { parseClientTokens, reachesPath } from '../../src/clients/client-tokens.ts';
import { NO_LIMITS } from '../../src/clients/limits.ts';

const sha256 = (token: string) => createHash('sha256').update(token).digest('hex');

t.test('reads entries, comments and blank lines, with any line ends', async (t) => {
  const lines = ['# tokens', '', ` laptop:${sha256('one')} `, `ci.build_2-x:${sha256('two')}`, ''];
  for (const text of [lines.join('\n'), lines.join('\r\n')]) {
    const tokens = parseClientTokens(text);
    t.equal(tokens.size, 2);
    t.equal(tokens.find('one')?.name, 'laptop');
    t.equal(tokens.find('two')?.name, 'ci.build_2-x');
  }
});

t.test('finds no other token', async (t) => {
  const tokens = parseClientTokens(`a:${sha256('one')}\nb:${sha256('two')}`);
  for (const token of ['', 'On', 'ONE', 'one ', 'onetwo', sha256('one'), 'a', '\u0000']) {
    t.equal(tokens.find(token), null, JSON.stringify(token));
  }
  t.equal(tokens.find(null), null);
});

t.test('an empty file knows nobody', async (t) => {
  const tokens = parseClientTokens('# none\n\n');
  t.equal(tokens.size, 0);
  t.equal(tokens.find(''), null);
});

t.test('a token has no limits, or an end, or routes, or both', async (t) => {
  const expires = 'expires=2027-01-31T00:00:00Z';
  const text = [
    `free:${sha256('1')}`,
    `ends:${sha256('2')}  ${expires}`,
    `paths:${sha256('3')}\troutes=/backend-api/codex/responses,/backend-api/wham/*`,
    `both:${sha256('4')} routes=/* ${expires}`,
  ].join('\n');
  const expiresAt = Date.parse('2027-01-31T00:00:00Z');
  t.strictSame(parseClientTokens(text).list, [
    { name: 'free', expiresAt: null, purpose: null, routes: null, limits: null },
    { name: 'ends', expiresAt, purpose: null, routes: null, limits: null },
    {
      name: 'paths',
      expiresAt: null,
      purpose: null,
      routes: ['/backend-api/codex/responses', '/backend-api/wham/*'],
      limits: null,
    },
    { name: 'both', expiresAt, purpose: null, routes: ['/*'], limits: null },
  ]);
});

/** Line 3 of a file holds `line`, and is refused in these words. */
function refuses(t: Test, line: string, problem: string): void {
  const good = `a:${sha256('one')}`;
  t.throws(
    () => parseClientTokens(`${good}\n\n${line}\n`),
    new ConfigError(`clients.tokensFile line 3 ${problem}`),
    line,
  );
}

t.test('a bad line is named by its number and never shown', async (t) => {
  const digest = sha256('hush');
  for (const line of [
    'hush-plain-token',
    'name:hush',
    `:${digest}`,
    `na me:${digest}`,
    `name:${digest.toUpperCase()}`,
    `name:${digest}0`,
    `name:${digest.slice(1)}`,
    `name:${digest}:hush`,
    `${'n'.repeat(65)}:${digest}`,
  ]) {
    refuses(t, line, 'is not name:sha256');
  }
});

t.test('two lines of one name or one token are refused: their limits could differ', async (t) => {
  refuses(t, `a:${sha256('two')}`, 'has the name of an earlier line');
  refuses(t, `b:${sha256('one')}`, 'has the token of an earlier line');
});

t.test('a limit that is not understood is refused, never passed over', async (t) => {
  const token = `name:${sha256('hush')}`;
  for (const limit of ['hush', 'expire=2027-01-31T00:00:00Z', 'ROUTES=/*', '=', 'note=hush']) {
    const known =
      'expires=…, for=…, routes=…, requests=…, streams=…, input-tokens=…, output-tokens=…, models=…';
    refuses(t, `${token} ${limit}`, `has a limit other than ${known}`);
  }
  refuses(t, `${token} routes=/a routes=/b`, 'has two limits of routes');
  const times = ['2027-01-31', '2027-02-30T00:00:00Z', '2027-01-31T24:00:00Z', 'hush', ''];
  for (const time of [
    ...times,
    '2027-01-31T00:00:00+01:00',
    '2027-13-01T00:00:00Z',
    '1893456000',
  ]) {
    const problem = 'has an expires that is not a time like 2027-01-31T00:00:00Z';
    refuses(t, `${token} expires=${time}`, problem);
  }
  const lists = ['', 'hush', '/a,', '/a,hush', '/a/../b', '/a*', '/a*/b', '//', '/a%2fb', '/'];
  for (const list of lists) {
    const problem = 'has routes that are not a list of paths like /backend-api/codex/*';
    refuses(t, `${token} routes=${list}`, problem);
  }
});

t.test('a token for inference reaches the Responses API and nothing else', async (t) => {
  const client = parseClientTokens(`a:${sha256('a')} for=inference`).find('a');
  const reaches = (path: string) => client !== null && reachesPath(client, path);
  for (const path of ['responses', 'responses/compact', 'models']) {
    t.equal(reaches(`/backend-api/codex/${path}`), true, path);
  }
  for (const path of [
    '/backend-api/codex',
    '/backend-api/codex/alpha/search',
    '/backend-api/codex/responses/other',
    '/backend-api/wham/usage',
    '/backend-api/me',
    '/backend-api/conversations',
    '/auth/reload',
    '/auth/status',
  ]) {
    t.equal(reaches(path), false, path);
  }
});

t.test('a token for codex reaches what Codex asks for, and no chats', async (t) => {
  const client = parseClientTokens(`a:${sha256('a')} for=codex routes=/auth/reload`).find('a');
  const reaches = (path: string) => client !== null && reachesPath(client, path);
  for (const path of ['codex/alpha/search', 'wham/usage', 'ps/mcp', 'plugins/x', 'files/a']) {
    t.equal(reaches(`/backend-api/${path}`), true, path);
  }
  t.equal(reaches('/auth/reload'), true, 'routes are added');
  for (const path of ['me', 'conversations', 'accounts/check', 'filesystem']) {
    t.equal(reaches(`/backend-api/${path}`), false, path);
  }
});

t.test('a purpose that is not known is refused', async (t) => {
  for (const purpose of [
    '',
    'everything',
    'Codex',
    '__proto__',
    'constructor',
    'codex,inference',
  ]) {
    const token = `b:${sha256('b')}`;
    refuses(t, `${token} for=${purpose}`, 'has a for that is not one of inference, codex');
  }
});

t.test('no empty credential: the digest of nothing is refused', async (t) => {
  t.throws(() => parseClientTokens(`ci:${sha256('')}`), {
    name: 'ConfigError',
    message: /line 1 has the digest of an empty token/,
  });
});

t.test('limits are read once, and a token without any has none', async (t) => {
  const line = `a:${sha256('a')} requests=60 streams=4 models=gpt-5.1,gpt-5.1-* input-tokens=1000000000000`;
  const tokens = parseClientTokens(`${line}\nb:${sha256('b')} output-tokens=1\nc:${sha256('c')}`);
  t.strictSame(
    tokens.list.map(({ limits }) => limits),
    [
      {
        requestsPerMinute: 60,
        streams: 4,
        inputTokensPerDay: 1_000_000_000_000,
        outputTokensPerDay: null,
        models: ['gpt-5.1', 'gpt-5.1-*'],
      },
      { ...NO_LIMITS, outputTokensPerDay: 1 },
      null,
    ],
  );
});

t.test('a limit that is not a number, and a model that is not a name, are refused', async (t) => {
  const token = `name:${sha256('hush')}`;
  const values = ['', '0', '-1', '1.5', '1e3', '0x10', '060', 'hush', '1000000000001', '٣', '5,'];
  for (const name of ['requests', 'streams', 'input-tokens', 'output-tokens']) {
    for (const value of values) {
      const problem = `has a value of ${name} that is not a whole number from 1 to 1000000000000`;
      refuses(t, `${token} ${name}=${value}`, problem);
    }
  }
  for (const models of ['', '*', 'a,', 'a**', 'a*b', 'a,*', '"gpt"', `${'a'.repeat(129)}`]) {
    const problem =
      'has models that are not a list of models like gpt-5.1,gpt-5.1-codex* without blanks';
    refuses(t, `${token} models=${models}`, problem);
  }
});

t.test('the same token is found again by itself, not by its name', async (t) => {
  const client = parseClientTokens(`a:${sha256('one')}`).find('one');
  if (!client) throw new Error('not found');
  const renamed = parseClientTokens(`b:${sha256('one')} requests=1\na:${sha256('two')}`);
  t.match(renamed.current(client), { name: 'b', limits: { requestsPerMinute: 1 } });
  t.equal(parseClientTokens(`a:${sha256('two')}`).current(client), null);
});
