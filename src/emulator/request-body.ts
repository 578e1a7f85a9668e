import { isObject } from '../base/json.ts';

const DEFAULT_MODEL = 'gpt-emulated';

/** A field of a body or frame; undefined when there is none, or the whole is no object. */
export function fieldOf(request: unknown, name: string): unknown {
  return isObject(request) && Object.hasOwn(request, name) ? request[name] : undefined;
}

/** The model that the client asked for, so that it sees no rerouting. */
export function modelOf(request: unknown): string {
  const model = fieldOf(request, 'model');
  return typeof model === 'string' ? model : DEFAULT_MODEL;
}

/** A request that ends with the trigger of a remote compaction, version 2. */
export function isCompaction(request: unknown): boolean {
  const input = fieldOf(request, 'input');
  return Array.isArray(input) && fieldOf(input.at(-1), 'type') === 'compaction_trigger';
}

/** A frame that only prepares the socket: the client wants no output. */
export function isWarmUp(request: unknown): boolean {
  return fieldOf(request, 'generate') === false;
}

/**
 * Whether the client reads a stream. Whoever names no model, as tests do, gets one without asking,
 * and so does a body that could not be read.
 */
export function wantsStream(request: unknown): boolean {
  return fieldOf(request, 'stream') === true || fieldOf(request, 'model') === undefined;
}

/**
 * Why the ChatGPT backend does not take a body, in its words and its order, as several clients report
 * them: it demands what Codex sends, of everybody. It does not demand `instructions`, which Codex 0.169.0
 * and 0.171.0 leave out where a model has none (observed). null when it takes the body, and for one that
 * names no model, which no client sends.
 */
export function codexRefusal(request: unknown): string | null {
  if (fieldOf(request, 'model') === undefined) return null;
  if (!Array.isArray(fieldOf(request, 'input'))) return 'Input must be a list';
  if (fieldOf(request, 'store') !== false) return 'Store must be set to false';
  if (fieldOf(request, 'stream') !== true) return 'Stream must be set to true';
  return null;
}
