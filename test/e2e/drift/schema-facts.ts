import { isObject } from '../../../src/base/json.ts';
import type { FactBook } from './facts.ts';

/** Definitions that say who is signed in, how, and with which plan. */
const OF_ACCOUNTS =
  /^(?:Account|AuthMode|ChatgptAuth|Get\w*Account|Login|Logout|PlanType|RateLimit|RefreshToken)/;

/** Adds what the schema of the app server says of accounts: fields, and the values of each choice. */
export function addSchemaFacts(book: FactBook, schema: unknown): void {
  for (const [name, definition] of definitionsIn(schema)) {
    if (!OF_ACCOUNTS.test(name)) continue;
    for (const value of [...choices(definition), ...fields(definition)].sort()) {
      book.add('schema', name, value);
    }
  }
}

/** All definitions; those of a version lie one level deeper. */
function definitionsIn(schema: unknown): [name: string, definition: unknown][] {
  const top = isObject(schema) && isObject(schema.definitions) ? schema.definitions : {};
  return Object.entries(top).flatMap(([name, definition]) =>
    /^v\d+$/.test(name) && isObject(definition) ? Object.entries(definition) : [[name, definition]],
  );
}

function choices(definition: unknown): string[] {
  if (!isObject(definition)) return [];
  const { enum: values, oneOf, anyOf } = definition;
  const own = Array.isArray(values) ? values.map((value) => JSON.stringify(value)) : [];
  return [...own, ...[oneOf, anyOf].flat().flatMap(variant)];
}

/** A variant is a word, or an object that a word in `type` tells from the others. */
function variant(definition: unknown): string[] {
  if (!isObject(definition)) return [];
  const properties = isObject(definition.properties) ? definition.properties : {};
  const tag = choices(properties.type).join();
  const named = tag === '' ? '' : `${tag} `;
  return [...choices(definition), ...fields(definition).map((name) => named + name)];
}

function fields(definition: unknown): string[] {
  const properties =
    isObject(definition) && isObject(definition.properties) ? definition.properties : {};
  return Object.keys(properties).map((name) => `.${name}`);
}
