import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import t from 'tap';
import { validatorSource } from '../../scripts/config-validator.ts';
import { ConfigSchema } from '../../src/config/schema.ts';

t.test('the schema of the configuration is a valid one, which no start checks', async (t) => {
  const ajv = new Ajv();
  t.ok(ajv.validateSchema(ConfigSchema), ajv.errorsText(ajv.errors));
});

t.test('what is checked at a start is what the definitions say', async (t) => {
  const written = await readFile('src/config/validator.generated.ts', 'utf8');
  t.equal(written, validatorSource(), 'run: npm run schema');
});
