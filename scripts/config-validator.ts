import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { ConfigSchema } from '../src/config/schema.ts';

/**
 * The check of the configuration as a module of its own, so that no start pays for loading Ajv and
 * compiling it.
 */
export function validatorSource(): string {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    verbose: true,
    // Counts UTF-16 units in place of characters, which needs no module of Ajv at run time; the only
    // limits of length are those of empty texts.
    unicode: false,
    logger: false,
    code: { source: true, esm: true },
  });
  const code = standalone.default(ajv, ajv.compile(ConfigSchema));
  return `// Written by "npm run schema" from src/config/schema.ts.\n// @ts-nocheck\n${code}\n`;
}
