import fc from 'fast-check';
import t from 'tap';
import { ModelScanner } from '../../src/proxy/model-scanner.ts';

/** What is read out of a text that comes in pieces of `size` bytes. */
function scan(text: string | Buffer, size = text.length || 1): ModelScanner {
  const scanner = new ModelScanner();
  const bytes = Buffer.from(text as string);
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  return scanner;
}

const DEEP =
  '{"input":[{"model":"nested"},["model",{"model":1}]],"x":{"model":"inner"},"model":"a"}';

t.test('the model is found wherever it is, in pieces of any size', async (t) => {
  const texts = [
    '{"model":"a"}',
    ' \r\n\t{ "input" : "x" , "model" : "a" , "stream":true,"n":-1.5e3 , "o":null } \n',
    '{"instructions":"say \\"model\\":\\"b\\" {[","model":"a","input":[]}',
    '{"backslash":"\\\\","model":"a"}',
    '{"mod\\u0065l":"\\u0061"}',
    DEEP,
    JSON.stringify({ big: 'é"\\'.repeat(10_000), model: 'a' }),
  ];
  for (const text of texts) {
    for (const size of [1, 2, 7, 100_000]) {
      const scanner = scan(text, size);
      t.equal(scanner.model, 'a', `${text.slice(0, 40)} in ${size}`);
      t.ok(scanner.isComplete);
    }
  }
});

t.test('what another parser could read in another way is refused', async (t) => {
  const cases: [string | Buffer, RegExp][] = [
    ['{"model":"a","model":"b"}', /names the model twice/],
    ['{"model":"a","input":[],"Model":"b"}', /has a field "Model", which is not "model"/],
    ['{"Model":"a"}', /has a field "Model"/],
    ['{"\\u004dODEL":"a"}', /has a field "MODEL"/],
    ['{"model":"a","\\u006dodel":"b"}', /names the model twice/],
    ['{"model":["a"]}', /its model is not a string/],
    ['{"model":null}', /its model is not a string/],
    [`{"model":"${'a'.repeat(2000)}"}`, /the name of its model is too long/],
    ['[{"model":"a"}]', /not a JSON object/],
    ['"model"', /not a JSON object/],
    ['model=a', /not a JSON object/],
    ['{"model":"a"}{"model":"b"}', /not a JSON object/],
    ['{"model":"a"} x', /not a JSON object/],
    ['{"x":/*"*/1,"model":"a"}', /not a JSON object/],
    ["{'model':'a'}", /not a JSON object/],
    ['{model:"a"}', /not a JSON object/],
    ['{"x":1{"model":"b"},"model":"a"}', /not a JSON object/],
    ['{"x":[//"\n1],"model":"a"}', /not a JSON object/],
    ['{"x" "model"}', /not a JSON object/],
    ['\ufeff{"model":"a"}', /not a JSON object/],
    [Buffer.from('{"model":"a"}', 'utf16le'), /not a JSON object/],
    ['{"\\x":"a"}', /not a JSON object/],
  ];
  for (const [text, message] of cases) {
    t.throws(() => scan(text), { name: 'UnclearModelError', message }, String(text));
  }
});

t.test('an object that is not finished is not complete', async (t) => {
  for (const text of ['', '{', '{"model":"a"', '{"model":"a","x":{}', '{"model":"a","x":"}']) {
    t.notOk(scan(text).isComplete, text);
  }
});

t.test('whatever JSON.stringify writes is read as JSON.parse reads it', async (t) => {
  const field = fc.oneof(fc.string(), fc.constantFrom('input', 'stream', 'models', 'model '));
  const body = fc.dictionary(field, fc.jsonValue()).filter((value) => !('model' in value));
  fc.assert(
    fc.property(
      body,
      fc.string({ maxLength: 40 }),
      fc.integer({ min: 1, max: 9 }),
      (rest, model, size) => {
        if (Object.keys(rest).some((name) => name.toLowerCase() === 'model')) return;
        const scanner = scan(JSON.stringify({ ...rest, model }), size);
        return scanner.model === model && scanner.isComplete;
      },
    ),
  );
  t.pass('no counterexample');
});
