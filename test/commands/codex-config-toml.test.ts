import fc from 'fast-check';
import t from 'tap';
import {
  parseToml,
  TomlError,
  UnchangeableError,
  withProvider,
} from '../../src/commands/codex/config-toml.ts';
import { providerFields } from '../../src/commands/codex/provider.ts';

const FIELDS = providerFields('http://127.0.0.1:8787/x', { experimental_bearer_token: 'token' });
const CHOICE = 'model_provider = "sidecar"\n';
const TABLE = `[model_providers.sidecar]
name = "OpenAI"
base_url = "http://127.0.0.1:8787/x"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = true
experimental_bearer_token = "token"
`;
const crlf = (text: string) => text.replaceAll('\n', '\r\n');
const WITH_COMMENTS = '# top\nmodel = "m"  # why\n\n# on tools\n[tools]\nweb = true\n# end\n';
const OLD_TABLE =
  '# on it\n[model_providers.sidecar]\n# the name\nname = "Old" # n\nbase_url = "http://old"\n' +
  '# kept\nrequest_max_retries = 3 # r\n\n[tools]\nweb = true\n';

const CASES: [name: string, before: string, after: string][] = [
  ['no file', '', `${CHOICE}\n${TABLE}`],
  ['comments', WITH_COMMENTS, `${CHOICE}\n${WITH_COMMENTS}\n${TABLE}`],
  ['no last line break', 'a = 1', `${CHOICE}\na = 1\n\n${TABLE}`],
  ['CR LF', crlf(WITH_COMMENTS), crlf(`${CHOICE}\n${WITH_COMMENTS}\n${TABLE}`)],
  ['a byte order mark', '\ufeffa = 1\n', `\ufeff${CHOICE}\na = 1\n\n${TABLE}`],
  [
    'another provider',
    'model_provider = "other" # mine\n[model_providers.other]\nname = "O"\n',
    `model_provider = "sidecar" # mine\n[model_providers.other]\nname = "O"\n\n${TABLE}`,
  ],
  [
    'an older entry',
    OLD_TABLE,
    `${CHOICE}\n# on it\n[model_providers.sidecar]\n# the name\nname = "OpenAI" # n\n` +
      'base_url = "http://127.0.0.1:8787/x"\n# kept\nrequest_max_retries = 3 # r\n' +
      'wire_api = "responses"\nrequires_openai_auth = false\nsupports_websockets = true\n' +
      'experimental_bearer_token = "token"\n\n[tools]\nweb = true\n',
  ],
  [
    'a token in a variable',
    `${CHOICE}${TABLE.replace('experimental_bearer_token = "token"', '# why\nenv_key = "X" # so')}`,
    `${CHOICE}${TABLE.replace('experimental', '# why\n# env_key = "X" # so\nexperimental')}`,
  ],
];

for (const [name, before, after] of CASES) {
  t.test(`a config.toml with ${name}`, async (t) => {
    const result = withProvider(before, FIELDS);
    t.equal(result, after);
    t.equal(withProvider(result, FIELDS), result, 'nothing to do the second time');
  });
}

t.test('providers in one line', async (t) => {
  const before = '# p\nmodel_providers = { other = { name = "o" } } # in one\nmodel = "m"\n';
  const after = withProvider(before, FIELDS);
  t.match(parseToml(after), {
    model: 'm',
    model_provider: 'sidecar',
    model_providers: { other: { name: 'o' }, sidecar: FIELDS },
  });
  t.match(after, /^# p$/m);
  t.match(after, /# in one$/m);
});

t.test('a comment that would be lost is a reason to refuse', async (t) => {
  const before = 'model_providers = { sidecar = { name = "a", env_key = "b" # c\n} }\n';
  t.throws(() => withProvider(before, FIELDS), UnchangeableError);
});

t.test('what does not parse is refused by its line, never by its content', async (t) => {
  const problem = new TomlError('line 2 is not valid TOML');
  t.throws(() => withProvider('a = 1\ntoken = "secret-token\n', FIELDS), problem);
});

const LINES = [
  ...['# comment', '', 'model = "m" # c', 'profile = "p"', 'n = 0x1F', 'd = 1979-05-27T07:32:00Z'],
  ...['s = """', 'l = [ 1, # one', '"quoted key" = \'x\'', 'o = { a = 1 }', 'a.b = 1'],
];
const TABLES = [
  '[tools]\nweb = true # w',
  '# on m\n[mcp_servers.m]\nargs = ["1", # one\n  "2"]',
  '[[list]]\nx = 1\n[[list]]\nx = 2',
  '[model_providers.other]\nname = "O"',
  '# mine\n[model_providers.sidecar] # here\nname = "Old" # n\n# k\nkept = 1',
  '[profiles.p]\nmodel_provider = "other"',
];

t.test('whatever the file holds, all of its lines but ours stay in their order', async (t) => {
  const complete = (line: string) =>
    line.endsWith('"""')
      ? `${line}\ntext # no comment\n"""`
      : line.startsWith('l =')
        ? `${line}\n]`
        : line;
  const file = fc
    .tuple(fc.shuffledSubarray(LINES), fc.shuffledSubarray(TABLES), fc.boolean())
    .map(
      ([lines, tables, end]) => [...lines.map(complete), ...tables].join('\n') + (end ? '\n' : ''),
    );
  const keepsAll = fc.property(file, (before) => {
    const after = withProvider(before, FIELDS);
    const rest = after.split('\n');
    for (const line of before.split('\n').filter((text) => !text.startsWith('name = "Old"'))) {
      const index = rest.indexOf(line);
      if (index === -1 && line !== '') return false;
      rest.splice(0, index + 1);
    }
    return withProvider(after, FIELDS) === after;
  });
  t.doesNotThrow(() => fc.assert(keepsAll, { numRuns: 200 }));
});
