import t from 'tap';
import { SidecarError } from '../../src/base/errors.ts';
import { onOneLine, printable } from '../../src/base/printable.ts';
import { failure, findingLine } from '../../src/commands/doctor/finding.ts';
import { statusTable } from '../../src/commands/status/table.ts';

const FOREIGN: [name: string, text: string, shown: string][] = [
  ['a colour', '\u001b[31mred', '\\u001b[31mred'],
  ['a title', '\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
  ['the single CSI of eight bits', '\u009b2J', '\\u009b2J'],
  ['a line that overwrites', 'failed\rready', 'failed\\u000dready'],
  ['text that is read backwards', 'a\u202eb\u2066c', 'a\\u202eb\\u2066c'],
  ['what nobody sees', 'a\u200bb\u00adc', 'a\\u200bb\\u00adc'],
  ['another line break', 'a\u2028b', 'a\\u2028b'],
  ['a tag beyond 16 bits', '\u{e0041}', '\\udb40\\udc41'],
  ['ordinary text of any language', 'für 日本 🙂 (1 %)', 'für 日本 🙂 (1 %)'],
];
for (const [name, text, shown] of FOREIGN) {
  t.test(`foreign text is shown and does nothing: ${name}`, async (t) => {
    t.equal(printable(text), shown);
    t.equal(JSON.parse(printable(JSON.stringify({ text }))).text, text, 'JSON keeps its meaning');
  });
}

t.test('foreign text on one line stays there', async (t) => {
  t.equal(onOneLine('a \r\n b\tc\u001b'), 'a b c\\u001b');
});

t.test('no foreign text reaches a terminal: errors, tables, findings', async (t) => {
  const foreign = 'AuthAPI answered: \u001b[2J\r\nstatus ready\u202e';
  const { message } = new SidecarError('AUTH_IDENTITY_UNAVAILABLE', foreign);
  const state = { state: foreign, lastError: foreign, lastRejection: foreign };
  const status = {
    status: foreign,
    version: foreign,
    account: { id: foreign },
    agentIdentity: state,
    bearer: state,
    upstream: { origin: foreign, clockSkewSeconds: null },
    connections: { http: 0, websocket: 0 },
    requests: { [foreign]: foreign },
  };
  // What a foreign server sends as a status has any shape.
  const table = statusTable(status as unknown as Parameters<typeof statusTable>[0]);
  const finding = findingLine(failure('HTTP', foreign, foreign), true);
  for (const line of [message, ...table, finding]) t.notMatch(line, /[\p{Cc}\p{Cf}]/u, line);
});
