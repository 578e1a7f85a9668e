import fc from 'fast-check';
import t from 'tap';
import { parseJson } from '../../src/base/json.ts';
import { findJsonFault, jsonProblem } from '../../src/base/json-fault.ts';
import { holds } from '../helpers/property.ts';

const FAULTS: [text: string, line: number, column: number, problem: string][] = [
  ['', 1, 1, 'the text ends too early'],
  ['{', 1, 2, 'the text ends too early'],
  ['{\n  "a": 1,\n}', 3, 1, 'remove the comma before it'],
  ['[1, 2,]', 1, 7, 'remove the comma before it'],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'expected a comma or }'],
  ['{ "a" 1 }', 1, 7, 'expected a colon'],
  ['{ "a": }', 1, 8, 'expected a value'],
  ['{ a: 1 }', 1, 3, 'expected a name in double quotes or }'],
  ["{ 'a': 1 }", 1, 3, 'JSON wants double quotes'],
  ['{ // so\n}', 1, 3, 'JSON has no comments'],
  ['# so\n{}', 1, 1, 'JSON has no comments'],
  ['{ "a": hunter2 }', 1, 8, 'expected a value'],
  ['{ "a": "b }', 1, 8, 'this text does not end on its line, or holds a wrong escape'],
  ['{ "a": "\\x" }', 1, 8, 'this text does not end on its line, or holds a wrong escape'],
  ['{}\n{}', 2, 1, 'expected the end'],
  ['[1}', 1, 3, 'expected a comma or ]'],
  ['[}', 1, 2, 'expected a value or ]'],
  ['01', 1, 1, 'expected a value'],
  ['-', 1, 1, 'expected a value'],
  ['truely', 1, 1, 'expected a value'],
];

for (const [text, line, column, problem] of FAULTS) {
  t.test(`not JSON: ${JSON.stringify(text)}`, async (t) => {
    t.strictSame(findJsonFault(text), { line, column, problem });
    t.equal(jsonProblem(text), `line ${line}, column ${column}: ${problem}`);
  });
}

t.test('what is JSON and is refused for its depth is said so', async (t) => {
  const text = '['.repeat(101) + ']'.repeat(101);
  t.equal(parseJson(text), undefined);
  t.equal(jsonProblem(text), 'it is nested too deeply');
});

t.test('it finds a fault in what JSON.parse refuses, and in nothing else', async (t) => {
  // JSON with something put into it, taken out of it, or written over.
  const damaged = fc
    .tuple(fc.json(), fc.nat(), fc.nat(3), fc.constantFrom('', ...'{}[]:,"\\/-+.eE01tnu \n\u0000'))
    .map(([text, seed, count, put]) => {
      const at = seed % (text.length + 1);
      return text.slice(0, at) + put + text.slice(at + count);
    });
  const text = fc.oneof(damaged, fc.json({ maxDepth: 4 }));
  holds(
    t,
    fc.property(text, (text) => (findJsonFault(text) === null) === isJson(text)),
    { numRuns: 3000 },
  );
});

t.test('it names the place that JSON.parse names, where that names one', async (t) => {
  const text = fc
    .tuple(fc.json(), fc.nat())
    .map(([json, seed]) => json.slice(0, seed % json.length));
  let compared = 0;
  const isSame = fc.property(text, fc.constantFrom('}', ']', ',', ':', ' x'), (begin, put) => {
    const position = positionOf(begin + put);
    if (position === null) return true;
    compared++;
    return findJsonFault(begin + put)?.column === position + 1;
  });
  holds(t, isSame, { numRuns: 3000 });
  t.ok(compared > 300, `${compared} places`);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** From 0; null where the message holds none, or is about the inside of a text. */
function positionOf(text: string): number | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const { message } = error as Error;
    const position = /at position (\d+)/.exec(message)?.[1];
    const isInside = /string|escape|number|Unexpected token/i.test(message);
    return position === undefined || isInside ? null : Number(position);
  }
}
