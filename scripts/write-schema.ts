import { writeFileSync } from 'node:fs';
import { ConfigSchema } from '../src/config.ts';

// The JSON Schema for editors, from the same source as the checks; a test holds the file to it.
const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...ConfigSchema };
writeFileSync('docs/config.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
