/**
 * Paths under which clients of the OpenAI API ask for the model routes. Each is another name for one
 * route: it is replaced before anything looks at the path, so that rules, client tokens and the
 * upstream only ever see the one.
 */
export const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['/v1/responses', '/backend-api/codex/responses'],
  ['/v1/responses/compact', '/backend-api/codex/responses/compact'],
  ['/v1/models', '/backend-api/codex/models'],
]);

/** @param path in normal form */
export function routePath(path: string): string {
  return path.startsWith('/v1/') ? (OTHER_NAMES.get(path) ?? path) : path;
}

const BASES = 'the base URL ends in /backend-api/codex for Codex, and in /v1 for other clients';

/**
 * What to say of a path that is not served; null where nobody can know what was meant.
 * @param path in normal form
 */
export function pathHint(path: string): string | null {
  if (/\/completions$/.test(path)) {
    return 'this is the Responses API, not Chat Completions: have the client use /v1/responses';
  }
  if (path.startsWith('/backend-api/codex/')) return null;
  // A base URL that lacks its end, or has another one.
  if (/\/(?:responses(?:\/compact)?|models)$/.test(path)) return BASES;
  if (/^\/(?:api\/)?codex(?:\/|$)/.test(path)) return BASES;
  if (/^\/(?:wham|ps|plugins|connectors|files|accounts)(?:\/|$)/.test(path)) {
    return 'chatgpt_base_url of Codex ends in /backend-api';
  }
  if (/^\/v1(?:\/|$)/.test(path)) {
    return 'of /v1 only responses, responses/compact and models are served';
  }
  return null;
}

/** `problem`, and after it the hint where there is one. */
export function withPathHint(problem: string, path: string): string {
  const hint = pathHint(path);
  return hint === null ? problem : `${problem}; ${hint}`;
}
