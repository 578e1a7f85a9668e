import { writeFileSync } from 'node:fs';
import { ConfigSchema } from '../src/config/schema.ts';
import { validatorSource } from './config-validator.ts';

// What the definitions make, for editors and for the check at a start; a test holds both files to it.
const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...ConfigSchema };
writeFileSync('docs/config.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
writeFileSync('src/config/validator.generated.ts', validatorSource());
