import { writeFileSync } from 'node:fs';
import { ConfigSchema } from '../src/config/schema.ts';
import { configTypesSource } from './config-types.ts';
import { validatorSource } from './config-validator.ts';

// What the definitions make: for editors, for the compiler and for the check at a start. A test
// compares all three files with the definitions.
const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...ConfigSchema };
writeFileSync('docs/config.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
writeFileSync('src/config/config.generated.ts', configTypesSource());
writeFileSync('src/config/validator.generated.ts', validatorSource());
