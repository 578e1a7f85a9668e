import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import t from 'tap';
import { Secret } from '../../src/base/secret.ts';

const VALUE = 'top-secret-value';
const secret = new Secret(VALUE);

t.test('reveal gives the value', async (t) => {
  t.equal(secret.reveal(), VALUE);
});

t.test('secrets are equal when their values are', async (t) => {
  t.equal(secret.equals(new Secret(VALUE)), true);
  t.equal(secret.equals(new Secret('another')), false);
});

const printed: Record<string, [text: string, expected: string]> = {
  'String()': [String(secret), '[redacted]'],
  'a template': [`<${secret}>`, '<[redacted]>'],
  'a list joined': [[secret, secret].join(), '[redacted],[redacted]'],
  'JSON.stringify': [JSON.stringify(secret), '"[redacted]"'],
  'JSON.stringify, nested': [JSON.stringify({ a: [secret] }), '{"a":["[redacted]"]}'],
  'util.inspect': [inspect(secret), '[redacted]'],
  'util.inspect, nested': [inspect({ a: [secret] }), '{ a: [ [redacted] ] }'],
  'util.inspect with showHidden': [inspect(secret, { showHidden: true }), '[redacted]'],
  'util.inspect in a Map': [inspect(new Map([['a', secret]])), "Map(1) { 'a' => [redacted] }"],
  'util.inspect without custom functions': [inspect(secret, { customInspect: false }), 'Secret {}'],
  'format %s': [format('%s', secret), '[redacted]'],
  'format %j': [format('%j', secret), '"[redacted]"'],
  'format %O': [format('%O', secret), '[redacted]'],
  'format without a place': [format('token:', secret), 'token: [redacted]'],
};

for (const [name, [text, expected]] of Object.entries(printed)) {
  t.test(`${name} does not show the value`, async (t) => {
    t.equal(text, expected);
  });
}

t.test('util.inspect with showHidden does not show a nested value', async (t) => {
  const text = inspect({ a: { b: { c: secret } } }, { showHidden: true, depth: null });
  t.match(text, '[redacted]');
  t.notMatch(text, VALUE);
});

t.test('format %o does not show the value', async (t) => {
  t.notMatch(format('%o', { a: secret }), VALUE);
});

t.test('console.log does not show the value', async (t) => {
  let output = '';
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      output += chunk.toString();
      done();
    },
  });
  new Console(stdout).log('%s', secret, secret, { token: secret });
  t.equal(output, '[redacted] [redacted] { token: [redacted] }\n');
});

t.test('an error with a secret as its cause does not show the value', async (t) => {
  const error = new Error('failed', { cause: secret });
  const text = inspect(error, { showHidden: true });
  t.match(text, '[cause]: [redacted]');
  t.notMatch(text, VALUE);
});

t.test('an error with a secret as its property does not show the value', async (t) => {
  const error = Object.assign(new Error('failed'), { token: secret });
  t.notMatch(inspect(new AggregateError([error]), { depth: null }), VALUE);
});

t.test('a secret has no property that could be copied', async (t) => {
  t.strictSame(Reflect.ownKeys(secret), []);
  t.strictSame({ ...secret }, {});
  t.strictSame(Reflect.ownKeys(structuredClone(secret)), []);
});
