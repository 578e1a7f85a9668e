import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { JsonFields, wantedFields } from '../../../src/proxy/usage/json-fields.ts';
import { holds } from '../../helpers/property.ts';

const PATHS = ['type', 'response.usage', 'response.model', 'error.code'];

/** Pushes a text in pieces of these sizes, in turn. */
function read(fields: JsonFields, text: string, sizes: readonly number[]): number {
  const bytes = Buffer.from(text);
  let at = 0;
  for (let i = 0; at < bytes.length && fields.state !== 'whole'; i++) {
    const to = Math.min(bytes.length, at + (sizes[i % sizes.length] ?? 1));
    at = fields.push(bytes, at, to);
  }
  return at;
}

/** What a path leads to in a parsed document. */
function found(document: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => {
    const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isPlain ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
  }, document);
}

// Names of interest at every depth, in strings too, and all that JSON can hold between them.
const names = fc.constantFrom(
  'type',
  'response',
  'usage',
  'model',
  'error',
  'code',
  'x',
  'a"b\\',
  '',
);
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"usage":{"a":1}', '\\"', '{"response":', '}]', '\\\\', 'naïve ☃'),
  fc.stringMatching(/^[\\"]{0,40}$/),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(texts, fc.integer(), fc.double({ noNaN: true }), fc.constantFrom(true, null)),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(names, tie('value'), { maxKeys: 5 }),
  ),
}));
const documents = fc.dictionary(names, value, { maxKeys: 6 });
const layouts = fc.constantFrom(0, 1, '\t', '\r\n ');
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });

t.test('finds what JSON.parse finds, however the text is cut', async (t) => {
  holds(
    t,
    fc.property(documents, layouts, sizes, (document, layout, cuts) => {
      const fields = new JsonFields(wantedFields(...PATHS));
      const text = JSON.stringify(document, null, layout);
      const end = read(fields, ` ${text}tail`, cuts);
      assert.equal(fields.state, 'whole');
      assert.equal(end, Buffer.byteLength(text) + 1, 'ends where the object ends');
      const plain: unknown = JSON.parse(text);
      for (const path of PATHS) assert.deepEqual(fields.value(path), found(plain, path), path);
    }),
    { numRuns: 2_000 },
  );
});

t.test('an object after another, with one reader', async (t) => {
  const fields = new JsonFields(wantedFields(...PATHS));
  read(fields, '{"type":"one","response":{"usage":1}}', [3]);
  fields.reset();
  read(fields, '{"response":{"model":"m"}}', [3]);
  t.equal(fields.value('type'), undefined);
  t.equal(fields.value('response.usage'), undefined);
  t.equal(fields.value('response.model'), 'm');
});

t.test('names with escapes, and names that come twice', async (t) => {
  const fields = new JsonFields(wantedFields(...PATHS));
  read(fields, '{"re\\u0073ponse":{"usa\\u0067e":1,"usage":2},"type":1,"type":"last"}', [1]);
  t.equal(fields.value('response.usage'), 2);
  t.equal(fields.value('type'), 'last');
});

t.test('keeps no more than 4 KiB of a value', async (t) => {
  const fields = new JsonFields(wantedFields(...PATHS));
  read(fields, `{"type":"${'x'.repeat(5_000)}","error":{"code":"c"}}`, [700]);
  t.throws(() => fields.value('type'), RangeError);
  t.equal(fields.value('error.code'), 'c');
});

t.test('what is no object is broken', async (t) => {
  for (const text of ['[1]', '"usage"', 'hello', '1']) {
    const fields = new JsonFields(wantedFields(...PATHS));
    fields.push(Buffer.from(text), 0, text.length);
    t.equal(fields.state, 'broken', text);
  }
  const cut = new JsonFields(wantedFields(...PATHS));
  read(cut, '{"type":"x","response":{', [5]);
  t.equal(cut.state, 'inside');
});
