import type { Ajv, ErrorObject, ValidateFunction } from 'ajv';

let compiler: Promise<Ajv> | null = null;

/** Strict, as the backend is: nothing is dropped, filled in or converted. Not loaded before it is needed. */
function ajv(): Promise<Ajv> {
  // The bundle gives a CommonJS module its default export alone.
  compiler ??= import('ajv').then(({ default: ajv }) => new ajv.Ajv({ discriminator: true }));
  return compiler;
}

/** By the schema. Most are never asked for, and compiling one takes longer than a start without it. */
const compiled = new WeakMap<object, ValidateFunction>();

/** What is wrong with a body, as a sentence without its end; null: nothing. */
export async function problemOfBody(schema: object, body: unknown): Promise<string | null> {
  let validate = compiled.get(schema);
  if (!validate) {
    validate = (await ajv()).compile(schema);
    compiled.set(schema, validate);
  }
  if (validate(body)) return null;
  const [error] = validate.errors ?? [];
  return error ? describe(error) : 'invalid body';
}

function describe(error: ErrorObject): string {
  const place = error.instancePath.slice(1).replaceAll('/', '.');
  const name = error.params.missingProperty ?? error.params.additionalProperty;
  if (typeof name === 'string') {
    const field = place === '' ? name : `${place}.${name}`;
    return 'missingProperty' in error.params ? `${field} is missing` : `${field} is not a field`;
  }
  if (place === '') return 'the body must be a JSON object, sent as application/json';
  return `${place} ${error.message ?? 'is invalid'}`;
}
