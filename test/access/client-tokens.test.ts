import { createHash } from 'node:crypto';
import t from 'tap';
import { parseClientTokens } from '../../src/access/client-tokens.ts';
import { ConfigError } from '../../src/config.ts';

const sha256 = (token: string) => createHash('sha256').update(token).digest('hex');

t.test('reads entries, comments and blank lines, with any line ends', async (t) => {
  const lines = ['# tokens', '', ` laptop:${sha256('one')} `, `ci.build_2-x:${sha256('two')}`, ''];
  for (const text of [lines.join('\n'), lines.join('\r\n')]) {
    const tokens = parseClientTokens(text);
    t.equal(tokens.size, 2);
    t.ok(tokens.accepts('one'));
    t.ok(tokens.accepts('two'));
  }
});

t.test('accepts no other token', async (t) => {
  const tokens = parseClientTokens(`a:${sha256('one')}\nb:${sha256('two')}`);
  for (const token of ['', 'On', 'ONE', 'one ', 'onetwo', sha256('one'), 'a', '\u0000']) {
    t.notOk(tokens.accepts(token), token);
  }
  t.notOk(tokens.accepts(null));
});

t.test('an empty file accepts nobody', async (t) => {
  const tokens = parseClientTokens('# none\n\n');
  t.equal(tokens.size, 0);
  t.notOk(tokens.accepts(''));
});

t.test('a bad line is named by its number and never shown', async (t) => {
  const good = `a:${sha256('one')}`;
  const bad = [
    'hush-plain-token',
    'name:hush',
    `:${sha256('hush')}`,
    `na me:${sha256('hush')}`,
    `name:${sha256('hush').toUpperCase()}`,
    `name:${sha256('hush')}0`,
    `name:${sha256('hush').slice(1)}`,
    `name:${sha256('hush')} hush`,
  ];
  for (const line of bad) {
    t.throws(
      () => parseClientTokens(`${good}\n\n${line}\n`),
      new ConfigError('clients.tokensFile line 3 is not name:sha256'),
      line,
    );
  }
});
