import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import t from 'tap';
import type { Static } from 'typebox';
import { configKeysSource } from '../../scripts/config-keys.ts';
import { configTypesSource } from '../../scripts/config-types.ts';
import { validatorSource } from '../../scripts/config-validator.ts';
import type { Config } from '../../src/config/config.generated.ts';
import { ConfigSchema } from '../../src/config/schema.ts';

t.test('the schema of the configuration is a valid one, which no start checks', async (t) => {
  const ajv = new Ajv();
  t.ok(ajv.validateSchema(ConfigSchema), ajv.errorsText(ajv.errors));
});

t.test('the type of the configuration is what the definitions say', async (t) => {
  const written = await readFile('src/config/config.generated.ts', 'utf8');
  t.equal(written, configTypesSource(), 'run: npm run schema');
  // The compiler is the test: each is assignable to the other.
  const both = (config: Config, defined: Static<typeof ConfigSchema>) =>
    ({ config: defined, defined: config }) satisfies {
      config: Config;
      defined: Static<typeof ConfigSchema>;
    };
  t.type(both, 'function');
});

t.test('the keys that the environment can set are those of the definitions', async (t) => {
  const written = await readFile('src/config/keys.generated.ts', 'utf8');
  t.equal(written, configKeysSource(), 'run: npm run schema');
});

t.test('what is checked at a start is what the definitions say', async (t) => {
  const written = await readFile('src/config/validator.generated.ts', 'utf8');
  t.equal(written, validatorSource(), 'run: npm run schema');
});
