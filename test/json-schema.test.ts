import { Ajv } from 'ajv';
import t from 'tap';
import { ConfigSchema } from '../src/config.ts';
import { Type } from '../src/json-schema.ts';

t.test('an object requires the properties that are not optional', async (t) => {
  const schema = Type.Object({ a: Type.String(), b: Type.Optional(Type.Integer({ minimum: 1 })) });
  t.strictSame(JSON.parse(JSON.stringify(schema)), {
    type: 'object',
    required: ['a'],
    properties: { a: { type: 'string' }, b: { type: 'integer', minimum: 1 } },
  });
});

t.test('the schema of the configuration is a valid one, which no start checks', async (t) => {
  const ajv = new Ajv();
  t.ok(ajv.validateSchema(ConfigSchema), ajv.errorsText(ajv.errors));
});
