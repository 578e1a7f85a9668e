import type { ErrorCode } from '../../base/errors.ts';

/** What to do about a refusal, in a few words; docs/errors.md says more. */
const BY_CODE: Record<ErrorCode, string> = {
  AUTH_NOT_CONFIGURED: 'sign in',
  AUTH_CREDENTIAL_INVALID: 'replace the credential that the log names',
  AUTH_IDENTITY_REVOKED: 'get a new Agent Identity',
  AUTH_REFRESH_FAILED: 'the login is over; sign in again',
  AUTH_REFRESH_UNAVAILABLE: 'the token endpoint does not respond; it is asked again by itself',
  AUTH_IDENTITY_UNAVAILABLE: 'the registration does not respond; it is tried again by itself',
  AUTH_STORE_UNAVAILABLE: 'the shared store does not respond; see "store status"',
  AUTH_NO_BEARER: 'this route needs a login; sign in with ChatGPT',
  AUTH_ROUTE_DENIED: 'give the token a wider purpose, or leave the path denied',
  AUTH_PATH_INVALID: 'the client sent a path that can be read in two ways',
  AUTH_REQUEST_INVALID: 'the client sent a request that is not valid HTTP',
  AUTH_CLIENT_TOKEN: 'give the client a valid token; "token add" makes one',
  AUTH_CLIENT_LIMIT: 'wait, or raise the limit with "token set"',
  AUTH_MODEL_DENIED: 'use another model, or allow this one with "token set"',
  AUTH_HTTP_ONLY: 'nothing: Codex goes on over HTTP',
  AUTH_HOST_NOT_ALLOWED: 'call it by another name, or add this one to clients.allowedHosts',
  AUTH_ORIGIN_NOT_ALLOWED: 'add the web page to clients.allowedOrigins, if it may call',
  AUTH_BODY_TOO_LARGE: 'send less, or raise limits.bodyBytes',
  AUTH_DRAINING: 'nothing: the sidecar was stopping',
  AUTH_EVENTS_BUSY: 'close a status page',
  UPSTREAM_UNREACHABLE: 'run "doctor" to see where the connection fails',
  UPSTREAM_TLS: 'check upstream.caFile, and what stands between here and the upstream',
  UPSTREAM_TIMEOUT: 'run "doctor" to see where the connection fails',
  UPSTREAM_BUSY: 'wait, or raise upstream.maxConnections',
  SIDECAR_CONFIG_INVALID: 'mend the configuration; "config check" says where',
  SIDECAR_INTERNAL: 'the log says what failed',
};

const BY_STATUS: Record<number, string> = {
  401: 'the credential was refused; if that goes on, sign in again',
  403: 'the backend refused this account or request',
  429: 'the account has reached a limit; see above',
};

/** @param code of the sidecar; null when the upstream refused */
export function remedyOf(code: string | null, status: number | null): string {
  const known: Readonly<Record<string, string>> = BY_CODE;
  return (code === null ? BY_STATUS[status ?? 0] : known[code]) ?? '';
}
