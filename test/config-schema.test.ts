import { Ajv } from 'ajv';
import t from 'tap';
import { CONFIG_SCHEMA } from '../src/config-schema.generated.ts';
import { ConfigSchema } from '../src/config-schema.ts';

t.test('the schema of the configuration is a valid one, which no start checks', async (t) => {
  const ajv = new Ajv();
  t.ok(ajv.validateSchema(ConfigSchema), ajv.errorsText(ajv.errors));
});

t.test('what is checked at a start is what the definitions say', async (t) => {
  t.strictSame(CONFIG_SCHEMA, JSON.parse(JSON.stringify(ConfigSchema)), 'run: npm run schema');
});
