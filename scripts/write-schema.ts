import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigSchema } from '../src/config/schema.ts';
import { configKeysSource } from './config-keys.ts';
import { configTypesSource } from './config-types.ts';
import { validatorSource } from './config-validator.ts';
import { withVariablesTable } from './variables-table.ts';

// What the definitions make: for editors, for the compiler, for the check at a start, for the
// environment and for its table in the reference. A test compares each with the definitions.
const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...ConfigSchema };
writeFileSync('docs/config.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
writeFileSync('src/config/config.generated.ts', configTypesSource());
writeFileSync('src/config/keys.generated.ts', configKeysSource());
writeFileSync('src/config/validator.generated.ts', validatorSource());
const reference = 'docs/reference.md';
writeFileSync(reference, withVariablesTable(readFileSync(reference, 'utf8')));
