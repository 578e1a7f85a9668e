import { errnoOf } from '../base/errors.ts';
import { type PostgresServer, placeOf } from './postgres-url.ts';
import { StoreUnavailable } from './store.ts';

const URL_FILE = 'SIDECAR_STORE_URL_FILE';

/** What is wrong with the settings or the database; by the code of the server, or of the system. */
const PROBLEMS: Record<string, (server: PostgresServer) => string> = {
  '28P01': () => `the database refused the password in ${URL_FILE}; put the right one there`,
  '28000': () => `the database refused the user in ${URL_FILE}; look into its pg_hba.conf`,
  '3D000': ({ database }) =>
    `there is no database ${database}; make it, or correct the name in ${URL_FILE}`,
  '3F000': () =>
    'the table codex_auth_sidecar.login is missing; run: codex-auth-sidecar store init',
  '42P01': () =>
    'the table codex_auth_sidecar.login is missing; run: codex-auth-sidecar store init',
  '42501': ({ user }) =>
    `the role ${user} lacks a right; run: GRANT USAGE ON SCHEMA codex_auth_sidecar TO ${user}; GRANT SELECT, INSERT, UPDATE ON codex_auth_sidecar.login TO ${user}`,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ host }) =>
    `the certificate of the database is not for ${host}; put the name it is for into ${URL_FILE}`,
  NO_TLS: () =>
    'the database offers no TLS, and nothing is sent in clear beyond loopback; turn on ssl there',
  CERT_HAS_EXPIRED: () => 'the certificate of the database has expired; renew it there',
};

const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** Why a server cannot be used, in one line that names the setting and the remedy. */
export function describeProblem(error: unknown, server: PostgresServer): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error;
  const code = codeOf(error);
  const known = PROBLEMS[code];
  const place = placeOf(server);
  if (known) return new StoreUnavailable(`store ${place}: ${known(server)}`, error);
  if (UNTRUSTED.has(code)) {
    const remedy = 'set store.caFile to the certificate of its authority';
    return new StoreUnavailable(
      `store ${place}: the certificate of the database is not trusted (${code}); ${remedy}`,
      error,
    );
  }
  return new StoreUnavailable(`the store ${place} cannot be reached (${code})`, error);
}

/** Whether somebody has to do something; then there is no hurry to try again. */
export function needsSomebody(error: unknown): boolean {
  const code = codeOf(error instanceof StoreUnavailable ? error.cause : error);
  return code in PROBLEMS || UNTRUSTED.has(code);
}

function codeOf(error: unknown): string {
  const code = errnoOf(error);
  if (code !== 'unknown error') return code;
  const text = error instanceof Error ? error.message : '';
  return /does not support SSL/i.test(text) ? 'NO_TLS' : text || code;
}
