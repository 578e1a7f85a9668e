/** Where a text stops being JSON; it quotes nothing of the text, which may hold a secret. */
export interface JsonFault {
  /** From 1. */
  line: number;
  /** From 1, in UTF-16 units, as editors count. */
  column: number;
  problem: string;
}

/** What may come next, in words. */
type Expected =
  | 'a value'
  | 'a value or ]'
  | 'a name in double quotes'
  | 'a name in double quotes or }'
  | 'a colon'
  | 'a comma or }'
  | 'a comma or ]'
  | 'the end';

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids these within a text.
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/**
 * The first place at which `text` is not JSON (RFC 8259); null when all of it is. The messages of
 * `JSON.parse` do not always name the place, and quote the text.
 */
export function findJsonFault(text: string): JsonFault | null {
  /** The brackets that are open. */
  const open: string[] = [];
  let expected: Expected = 'a value';
  let at = lengthAt(SPACE, text, 0);
  while (at < text.length || expected !== 'the end') {
    const token = tokenAt(text, at);
    const next: Expected | null = token === '' ? null : after(token, expected, open);
    if (next === null) return { ...placeOf(text, at), problem: problemAt(text, at, expected) };
    expected = next;
    at += token.length;
    at += lengthAt(SPACE, text, at);
  }
  return null;
}

/** What may follow `token`; null when it must not stand here. Keeps `open` up to date. */
function after(token: string, expected: Expected, open: string[]): Expected | null {
  const wantsValue = expected === 'a value' || expected === 'a value or ]';
  if (token === '}' || token === ']') {
    if (!expected.endsWith(` or ${token}`)) return null;
    open.pop();
    return afterValue(open);
  }
  if (token === ',') {
    if (expected === 'a comma or }') return 'a name in double quotes';
    return expected === 'a comma or ]' ? 'a value' : null;
  }
  if (token === ':') return expected === 'a colon' ? 'a value' : null;
  if (token.startsWith('"') && expected.startsWith('a name')) return 'a colon';
  if (!wantsValue) return null;
  if (token !== '{' && token !== '[') return afterValue(open);
  open.push(token);
  return token === '{' ? 'a name in double quotes or }' : 'a value or ]';
}

function afterValue(open: readonly string[]): Expected {
  const last = open.at(-1);
  if (last === undefined) return 'the end';
  return last === '{' ? 'a comma or }' : 'a comma or ]';
}

/** Empty where no token begins. */
function tokenAt(text: string, at: number): string {
  const character = text.charAt(at);
  if (character !== '' && '{}[]:,'.includes(character)) return character;
  return text.slice(at, at + (lengthAt(TEXT, text, at) || lengthAt(WORD, text, at)));
}

function lengthAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

function problemAt(text: string, at: number, expected: Expected): string {
  const character = text.charAt(at);
  if (character === '') return 'the text ends too early';
  if (character === '/' || character === '#') return 'JSON has no comments';
  if (character === "'") return 'JSON wants double quotes';
  if (character === '"' && lengthAt(TEXT, text, at) === 0) {
    return 'this text does not end on its line, or holds a wrong escape';
  }
  if ('}]'.includes(character) && text.slice(0, at).trimEnd().endsWith(',')) {
    return 'remove the comma before it';
  }
  return `expected ${expected}`;
}

/** One line that says where and why `text` is not JSON, for a text that {@link parseJson} refuses. */
export function jsonProblem(text: string): string {
  const fault = findJsonFault(text);
  if (fault === null) return 'it is nested too deeply';
  return `line ${fault.line}, column ${fault.column}: ${fault.problem}`;
}

function placeOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}
