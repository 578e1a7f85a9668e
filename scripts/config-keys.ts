import { ConfigSchema } from '../src/config/schema.ts';

/** The parts of a JSON Schema that the configuration uses. */
interface Schema {
  type?: string;
  enum?: readonly string[];
  anyOf?: readonly Schema[];
  properties?: Readonly<Record<string, Schema>>;
}

/** Every key of the configuration, and the kinds of JSON value that it can have. */
export function configKeys(): [key: string, kinds: string[]][] {
  return keysOf(ConfigSchema, '').filter(([key]) => key !== '$schema');
}

/** So that the environment can set each key, without the library that the schema is written with. */
export function configKeysSource(): string {
  const rows = configKeys().map(([key, kinds]) => {
    const name = key.includes('.') ? `'${key}'` : key;
    return `  ${name}: [${kinds.map((kind) => `'${kind}'`).join(', ')}],`;
  });
  return `// Written by "npm run schema" from src/config/schema.ts.

/** A kind of JSON value. */
export type Kind = 'string' | 'integer' | 'boolean' | 'array' | 'object' | 'null';

/** Every key, and the kinds of value that it can have. */
export const KINDS: Readonly<Record<string, readonly Kind[]>> = {
${rows.join('\n')}
};
`;
}

function keysOf(section: Schema, prefix: string): [string, string[]][] {
  return Object.entries(section.properties ?? {}).flatMap(([name, schema]) => {
    const key = prefix + name;
    const alternatives = schema.anyOf ?? [schema];
    const inner = alternatives.flatMap((one) => keysOf(one, `${key}.`));
    // A section that is always there is no value of its own; one that can be null is.
    return schema.properties
      ? inner
      : [[key, alternatives.map(kindOf)] as [string, string[]], ...inner];
  });
}

function kindOf(schema: Schema): string {
  const kind = schema.enum ? 'string' : schema.type;
  if (kind === undefined) throw new Error(`no kind for ${JSON.stringify(schema)}`);
  return kind;
}
