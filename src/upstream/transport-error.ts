import { isOutOfDescriptors, SidecarError } from '../base/errors.ts';
import { failureText, transportCode } from './failure-text.ts';
import { ProxyError } from './proxy-error.ts';

// The codes are those of Node (`errno` names, OpenSSL's and its own), of undici (`UND_ERR_…`), and of
// `tunnel.ts` (`PROXY_…`).

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

/** Whether a code says that a TLS handshake failed. */
export function isTlsCode(code: string): boolean {
  return TLS_CODE.test(code);
}

/** A failed exchange in the words of `docs/errors.md`. */
export function upstreamError(error: unknown, origin: string): SidecarError {
  // A body that grew over its limit aborts the exchange with its own error.
  if (error instanceof SidecarError) return error;
  const code = transportCode(error);
  const options = { cause: error, retryAfterSeconds: 1 };
  const through = error instanceof ProxyError ? error.message : null;
  if (isOutOfDescriptors(error)) {
    return new SidecarError(
      'UPSTREAM_BUSY',
      `no connection to ${origin}: ${failureText(error)}`,
      options,
    );
  }
  if (TIMEOUT_CODES.has(code)) {
    const who = through === null ? '' : `; ${through}`;
    return new SidecarError('UPSTREAM_TIMEOUT', `${origin} did not answer in time${who}`, options);
  }
  if (isTlsCode(code)) {
    const whose =
      through === null ? `the certificate of ${origin} is not trusted (${code})` : through;
    return new SidecarError('UPSTREAM_TLS', `${whose}; nothing was sent`, { cause: error });
  }
  const what = through ?? failureText(error);
  return new SidecarError('UPSTREAM_UNREACHABLE', `no response from ${origin}: ${what}`, options);
}

/** A response that fits no request, such as a switch to a protocol that nobody asked for. */
export function unexpectedResponse(origin: string, what: string): SidecarError {
  return new SidecarError(
    'UPSTREAM_UNREACHABLE',
    `${origin} answered ${what}, which no request asked for`,
  );
}
