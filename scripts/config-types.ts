import { ConfigSchema, RouteSchema } from '../src/config/schema.ts';

/** The parts of a JSON Schema that the configuration uses. */
interface Schema {
  type?: string;
  description?: string;
  enum?: readonly string[];
  anyOf?: readonly Schema[];
  items?: Schema;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
}

const PLAIN: Readonly<Record<string, string>> = {
  string: 'string',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
};

/**
 * The type of the configuration as plain interfaces, so that neither this program nor one that
 * imports it needs the library that the schema is written with.
 */
export function configTypesSource(): string {
  const lines = [
    '// Written by "npm run schema" from src/config/schema.ts.',
    '',
    '/** One rule of `routes`; the first that fits decides. */',
    `export interface RouteRule ${objectType(RouteSchema, '')}`,
    '',
    '/** What a route does with credentials. */',
    "export type RouteAuth = RouteRule['auth'];",
    '',
    '/** The configuration, complete and checked. */',
    `export interface Config ${objectType(ConfigSchema, '', 'readonly ')}`,
  ];
  return `${lines.join('\n')}\n`;
}

function objectType({ properties = {}, required = [] }: Schema, indent: string, modifier = '') {
  const inner = `${indent}  `;
  const fields = Object.entries(properties).flatMap(([name, schema]) => {
    const mark = required.includes(name) ? '' : '?';
    const description =
      schema.description ?? schema.anyOf?.find((one) => one.description)?.description;
    return [
      ...(description === undefined
        ? []
        : [`${inner}/** ${description.replaceAll('*/', '*\\/')} */`]),
      `${inner}${modifier}${name}${mark}: ${typeOf(schema, inner)};`,
    ];
  });
  return `{\n${fields.join('\n')}\n${indent}}`;
}

function typeOf(schema: Schema, indent: string): string {
  if (schema === RouteSchema) return 'RouteRule';
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(one, indent)).join(' | ');
  if (schema.enum) return schema.enum.map((word) => `'${word}'`).join(' | ');
  if (schema.type === 'object') return objectType(schema, indent);
  if (schema.type === 'array' && schema.items) return `${typeOf(schema.items, indent)}[]`;
  const plain = PLAIN[schema.type ?? ''];
  if (plain === undefined) throw new Error(`no type for ${JSON.stringify(schema)}`);
  return plain;
}
