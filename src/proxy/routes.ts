import { matchesPattern } from '../base/path-pattern.ts';
import type { RouteRule } from '../config/resolve.ts';

/** Prefix of everything that the proxy serves. */
export const PROXY_PREFIX = '/backend-api';
/** Prefix of the model routes; with an API key it is rewritten to the base of the OpenAI API. */
const MODEL_PREFIX = '/backend-api/codex';
const MODEL_FOLDER = `${MODEL_PREFIX}/`;

/** An upstream: origin, and path of its base URL without a trailing slash. */
export interface UpstreamBase {
  origin: string;
  basePath: string;
}

export function parseUpstream(baseUrl: string): UpstreamBase {
  const { origin, pathname } = new URL(baseUrl);
  return { origin, basePath: pathname === '/' ? '' : pathname };
}

/**
 * First match wins; what matches nothing is denied. These are the paths that Codex asks for (observed,
 * 0.142.3 to 0.171.0): the backend also serves the chats and the account of the same person.
 */
export const DEFAULT_ROUTES: readonly RouteRule[] = [
  { methods: ['POST', 'GET+upgrade'], path: '/backend-api/codex/responses', auth: 'assertion' },
  { methods: ['POST'], path: '/backend-api/codex/responses/compact', auth: 'assertion' },
  { methods: ['GET'], path: '/backend-api/wham/agent-identities/jwks', auth: 'none' },
  { methods: ['*'], path: '/backend-api/wham/remote/control/*', auth: 'deny' },
  { methods: ['*'], path: '/backend-api/codex/*', auth: 'bearer' },
  { methods: ['*'], path: '/backend-api/wham/*', auth: 'bearer' },
  { methods: ['*'], path: '/backend-api/ps/*', auth: 'bearer' },
  { methods: ['*'], path: '/backend-api/plugins/*', auth: 'bearer' },
  { methods: ['*'], path: '/backend-api/connectors/*', auth: 'bearer' },
  { methods: ['*'], path: '/backend-api/files/*', auth: 'bearer' },
  // Of a workspace, by 0.142.3 alone; the drift check saw nothing else below `accounts`.
  { methods: ['GET'], path: '/backend-api/accounts/*/settings', auth: 'bearer' },
];

/**
 * The rule for a request, or null. A backend may ignore case, and dots and spaces at the end of a
 * name; so a spelling that an earlier rule would cover on such a backend matches nothing.
 * @param path a normalised path
 * @param upgrade whether the request asks for a WebSocket
 */
export function matchRoute(
  rules: readonly RouteRule[],
  method: string,
  path: string,
  upgrade: boolean,
): RouteRule | null {
  const blurred = blur(path);
  const rule = rules.find(
    (candidate) =>
      matchesMethod(candidate, method, upgrade) && matchesPattern(blur(candidate.path), blurred),
  );
  // What is denied is denied in any spelling.
  if (!rule || rule.auth === 'deny' || matchesPattern(rule.path, path)) return rule ?? null;
  return null;
}

/** Paths whose bodies name the model, and whose responses tell what they took. */
const INFERENCE: ReadonlySet<string> = new Set([
  '/backend-api/codex/responses',
  '/backend-api/codex/responses/compact',
]);

/** Below it the responses are that a backend keeps. */
const STORED = '/backend-api/codex/responses/';

/** Whether a backend may take a path for one of inference. */
export function isInference(path: string): boolean {
  return INFERENCE.has(path) || INFERENCE.has(blur(path));
}

/** Whether a backend may take a path for that of a response which it has kept. */
export function mayBeStored(path: string): boolean {
  return blur(path).startsWith(STORED);
}

/** Whether a method only reads. */
export function isReading(method: string | null): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Whether a backend may take a path for one of the model routes. */
export function mayBeModelRoute(path: string): boolean {
  return isModelRoute(path) || isModelRoute(blur(path));
}

/** Below it Codex starts work that the backend does by itself, with a model of its own choice. */
const TASKS = '/backend-api/wham/tasks';

/** What Codex sends to, as far as it is known, without any use of a model. */
const WITHOUT_MODEL = [
  '/backend-api/codex/analytics-events/*',
  '/backend-api/wham/*',
  '/backend-api/ps/*',
  '/backend-api/plugins/*',
  '/backend-api/connectors/*',
  '/backend-api/files/*',
];

/** Whether what is sent to a path cannot make the backend use a model, in any reading of it. */
export function usesNoModel(path: string): boolean {
  const blurred = blur(path);
  if (blurred.startsWith(TASKS)) return false;
  return WITHOUT_MODEL.some((pattern) => matchesPattern(pattern, blurred));
}

/** A path as backends may read it that ignore case, and dots and spaces at the end of a name. */
function blur(path: string): string {
  const lower = path.toLowerCase();
  if (!lower.includes('.') && !lower.includes('%20')) return lower;
  const names = lower.split('/').map(bareName);
  return names.filter((name, index) => index === 0 || name !== '').join('/');
}

// A loop, because a regular expression would try every dot of a long row as its beginning.
function bareName(name: string): string {
  let end = name.length;
  for (;;) {
    if (name.charAt(end - 1) === '.') end -= 1;
    else if (name.endsWith('%20', end)) end -= 3;
    else return name.slice(0, end);
  }
}

/** Whether a path lies under the model prefix. */
export function isModelRoute(path: string): boolean {
  return path.startsWith(MODEL_FOLDER);
}

/**
 * Path on the upstream: the base URL's own path, and what follows the local prefix.
 * @param basePath path of the base URL, without a trailing slash
 */
export function upstreamPath(
  upstream: 'chatgpt' | 'openai',
  basePath: string,
  path: string,
): string {
  const prefix = upstream === 'openai' ? MODEL_PREFIX : PROXY_PREFIX;
  return basePath + path.slice(prefix.length);
}

function matchesMethod(rule: RouteRule, method: string, upgrade: boolean): boolean {
  return rule.methods.some(
    (allowed) =>
      allowed === '*' ||
      allowed === method ||
      (allowed === 'GET+upgrade' && upgrade && method === 'GET'),
  );
}
