import { SidecarError } from '../base/errors.ts';

// The codes are those of Node (`errno` names, OpenSSL's and its own), of undici (`UND_ERR_…`), and of
// `egress-proxy.ts` (`PROXY_…`).

/** Nobody answered in time; some of these before anything was sent, some after it. */
const TIMEOUT_CODES = new Set([
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'PROXY_TIMEOUT',
]);

/** A handshake that failed, with the upstream or with a proxy. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|UND_ERR_PRX_TLS)/;

/** A failed exchange in the words of `docs/errors.md`. */
export function upstreamError(error: unknown, origin: string): SidecarError {
  // A body that grew over its limit aborts the exchange with its own error.
  if (error instanceof SidecarError) return error;
  const code = transportCode(error);
  const options = { cause: error, retryAfterSeconds: 1 };
  if (TIMEOUT_CODES.has(code)) {
    return new SidecarError('UPSTREAM_TIMEOUT', `${origin} did not answer in time`, options);
  }
  if (TLS_CODE.test(code)) {
    return new SidecarError(
      'UPSTREAM_TLS',
      `the certificate of ${origin} is not trusted (${code}); nothing was sent`,
      { cause: error },
    );
  }
  return new SidecarError('UPSTREAM_UNREACHABLE', `${origin} cannot be reached (${code})`, options);
}

/** A response that fits no request, such as a switch to a protocol that nobody asked for. */
export function unexpectedResponse(origin: string, what: string): SidecarError {
  return new SidecarError(
    'UPSTREAM_UNREACHABLE',
    `${origin} answered ${what}, which no request asked for`,
  );
}

/** The code that says what happened: Happy Eyeballs and undici wrap the error that carries it. */
export function transportCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return transportCode(error.errors[0]);
  }
  const { code, cause } = fieldsOf(error);
  if (typeof code === 'string') return code;
  return cause === undefined ? 'unknown error' : transportCode(cause);
}

function fieldsOf(error: unknown): { code?: unknown; cause?: unknown } {
  return typeof error === 'object' && error !== null ? error : {};
}
