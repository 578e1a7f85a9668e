import { Ajv } from 'ajv';
import t from 'tap';
import { ConfigSchema } from '../src/config.ts';

t.test('the schema of the configuration is a valid one, which no start checks', async (t) => {
  const ajv = new Ajv();
  t.ok(ajv.validateSchema(ConfigSchema), ajv.errorsText(ajv.errors));
});
