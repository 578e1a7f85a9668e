import t from 'tap';
import { isObject, parseJson, parseJsonObject, textAt } from '../../src/base/json.ts';

t.test('text that is not JSON is undefined, which no JSON is', async (t) => {
  for (const text of ['', '<html>', '{"a":', 'undefined'])
    t.equal(parseJson(text), undefined, text);
  t.equal(parseJson('null'), null);
  t.strictSame(parseJson('{"a":[1]}'), { a: [1] });
});

t.test('only an object is an object', async (t) => {
  for (const value of [null, undefined, [], 'text', 1, true]) t.notOk(isObject(value));
  t.ok(isObject({}));
  for (const text of ['', 'null', '[]', '"text"', '1']) t.equal(parseJsonObject(text), null, text);
  t.strictSame(parseJsonObject('{"a":1}'), { a: 1 });
});

t.test('a field that is blank or not a string counts as absent', async (t) => {
  const object = { text: ' x ', blank: ' \n', empty: '', number: 1, nothing: null, list: ['x'] };
  t.equal(textAt(object, 'text'), ' x ');
  for (const name of ['blank', 'empty', 'number', 'nothing', 'list', 'absent']) {
    t.equal(textAt(object, name), null, name);
  }
});
