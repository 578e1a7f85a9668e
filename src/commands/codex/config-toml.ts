import { isDeepStrictEqual } from 'node:util';
import { parse, patch } from '@decimalturn/toml-patch';
import { PROVIDER_ID, type ProviderFields, tomlValue } from './provider.ts';

const BYTE_ORDER_MARK = /^\ufeff/;
const PROVIDER_TABLE = `model_providers.${PROVIDER_ID}`;

export type Table = Record<string, unknown>;

/** The fields that name a token; a second one would override ours, or be sent as well. */
const TOKEN_FIELDS = ['env_key', 'experimental_bearer_token'];

/** A `config.toml` that cannot be read. */
export class TomlError extends Error {
  override readonly name = 'TomlError';
}

/** A `config.toml` that we cannot change without touching other settings. */
export class UnchangeableError extends Error {
  override readonly name = 'UnchangeableError';
}

/** The content of a `config.toml`. @throws TomlError naming the line, never its content */
export function parseToml(text: string): Table {
  try {
    return plain(parse(text)) as Table;
  } catch (error) {
    // The parser's own message quotes the line, which may hold a token.
    const place = error instanceof Error ? /\((\d+), \d+\)/.exec(error.message)?.[1] : undefined;
    throw new TomlError(place ? `line ${place} is not valid TOML` : 'it is not valid TOML');
  }
}

type Fields = Readonly<Record<string, string | boolean>>;

/** Settings beside the provider: values outside of any table, and fields of tables. */
export type RootFields = Readonly<Record<string, string | Fields>>;

/** The lines that point Codex at the sidecar. */
export function snippet(fields: ProviderFields, root: RootFields = {}): string[] {
  const tables = tablesOf(root).flatMap(([name, values]) => ['', ...tableLines(name, values)]);
  return [...rootLines(root), '', ...tableLines(PROVIDER_TABLE, fields), ...tables];
}

/**
 * Adds the provider to a `config.toml`. Everything else, comments included, stays byte for byte.
 * @returns the same text when it already holds the provider
 * @throws TomlError or UnchangeableError
 */
export function withProvider(text: string, fields: ProviderFields, root: RootFields = {}): string {
  const before = parseToml(text);
  const wanted = pointedHere(before, fields, root);
  if (isDeepStrictEqual(before, wanted)) return text;
  for (const attempt of [insertLines, patchValues]) {
    const after = unlessItThrows(() => attempt(text, before, wanted, { fields, root }));
    if (after !== null && isFaithful(text, after, wanted)) return after;
  }
  throw new UnchangeableError('it cannot be changed without touching other settings');
}

/** The fields of the provider called `id`; null when the file has no such provider. */
export function providerIn(content: Table, id: string): Table | null {
  const provider = asTable(content.model_providers)[id];
  return provider === undefined ? null : asTable(provider);
}

function pointedHere(before: Table, fields: ProviderFields, root: RootFields): Table {
  const providers = asTable(before.model_providers);
  const kept = Object.entries(asTable(providers[PROVIDER_ID])).filter(
    ([name]) => !TOKEN_FIELDS.includes(name),
  );
  const provider = { ...Object.fromEntries(kept), ...fields };
  return {
    ...before,
    ...Object.fromEntries(
      Object.entries(root).map(([name, value]) => [name, merged(before[name], value)]),
    ),
    model_provider: PROVIDER_ID,
    model_providers: { ...providers, [PROVIDER_ID]: provider },
  };
}

/**
 * Adds lines at the top and at the end, where they cannot separate a comment from its subject, and
 * has the library change values that already exist.
 */
function insertLines(
  text: string,
  before: Table,
  wanted: Table,
  { fields, root }: { fields: ProviderFields; root: RootFields },
): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const hasProvider = PROVIDER_ID in asTable(before.model_providers);
  const missing = rootLines(root).filter((line) => !(nameIn(line) in before));
  const known = { ...before };
  for (const name of ['model_provider', ...Object.keys(root)]) {
    if (name in before) known[name] = wanted[name];
  }
  if (hasProvider) known.model_providers = wanted.model_providers;
  let result = TOKEN_FIELDS.reduce((now, name) => commentOut(now, name, fields), text);
  if (!isDeepStrictEqual(parseToml(result), known)) result = patch(result, known);
  if (missing.length > 0) {
    const mark = BYTE_ORDER_MARK.test(result) ? '\ufeff' : '';
    const rest = result.slice(mark.length);
    const gap = rest === '' || /^\r?\n/.test(rest) ? '' : newline;
    result = `${mark}${missing.map((line) => line + newline).join('')}${gap}${rest}`;
  }
  if (!hasProvider) {
    const end = result.endsWith('\n') ? '' : newline;
    result += `${end}${newline}${tableLines(PROVIDER_TABLE, fields).join(newline)}${newline}`;
  }
  for (const [name, values] of tablesOf(root)) {
    if (name in before) continue;
    const end = result.endsWith('\n') ? '' : newline;
    result += `${end}${newline}${tableLines(name, values).join(newline)}${newline}`;
  }
  return result;
}

/** Comments out a token field that must go; deleting it would also delete its comments. */
function commentOut(text: string, name: string, fields: ProviderFields): string {
  const isThere = (content: Table) => name in (providerIn(content, PROVIDER_ID) ?? {});
  if (name in fields || !isThere(parseToml(text))) return text;
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (!new RegExp(`^\\s*["']?${name}\\b`).test(line)) continue;
    const without = lines.with(index, `# ${line}`).join('\n');
    const content = unlessItThrows(() => parseToml(without));
    if (content && !isThere(content)) return without;
  }
  return text;
}

/** For providers written as an inline table or with dotted keys. */
function patchValues(text: string, _before: Table, wanted: Table): string {
  return patch(text, wanted);
}

/** Whether only our keys have changed, and only lines that held them have disappeared. */
function isFaithful(before: string, after: string, wanted: Table): boolean {
  const content = unlessItThrows(() => parseToml(after));
  if (!isDeepStrictEqual(content, wanted)) return false;
  const kept = after.replace(BYTE_ORDER_MARK, '').split('\n');
  const lines = before.replace(BYTE_ORDER_MARK, '').split('\n');
  return lines.every((line) => {
    const index = kept.indexOf(line);
    if (index === -1) return line.trim() === '' || isRewritten(line, after);
    kept.splice(0, index + 1);
    return true;
  });
}

const OUR_KEY =
  /^\s*["']?(model_providers?|chatgpt_base_url|features|apps|otel|metrics_exporter|name|base_url|wire_api|requires_openai_auth|supports_websockets|env_key|experimental_bearer_token)\b/;

/** Whether a missing line held one of our keys, and its comment still exists. */
function isRewritten(line: string, after: string): boolean {
  const comment = /#.*$/.exec(line)?.[0] ?? '';
  return OUR_KEY.test(line) && after.includes(comment);
}

function rootLines(root: RootFields): string[] {
  const fields = Object.entries({ model_provider: PROVIDER_ID, ...root });
  return fields.flatMap(([name, value]) =>
    typeof value === 'string' ? [`${name} = ${tomlValue(value)}`] : [],
  );
}

function tablesOf(root: RootFields) {
  return Object.entries(root).flatMap(([name, value]) =>
    typeof value === 'string' ? [] : [[name, value] as const],
  );
}

function tableLines(name: string, fields: Fields): string[] {
  const lines = Object.entries(fields).map(([key, value]) => `${key} = ${tomlValue(value)}`);
  return [`[${name}]`, ...lines];
}

function merged(before: unknown, value: RootFields[string]): unknown {
  return typeof value === 'string' ? value : { ...asTable(before), ...value };
}

/** The key of one of our own lines. */
function nameIn(line: string): string {
  return line.slice(0, line.indexOf(' '));
}

function unlessItThrows<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** Gives the parser's tables a prototype; without one, a deep comparison sees a difference. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  const isTable = typeof value === 'object' && value && Object.getPrototypeOf(value) === null;
  if (!isTable) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

/** Empty when the value is no table. */
export function asTable(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Table)
    : {};
}
