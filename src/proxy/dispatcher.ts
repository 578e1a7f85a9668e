import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent } from 'undici';
import { SidecarError } from '../errors.ts';

/** Proxy settings as the environment names them. */
export interface ProxyEnvironment {
  httpProxy: string | null;
  httpsProxy: string | null;
  noProxy: string | null;
}

export interface DispatcherOptions {
  /** PEM text of further certificate authorities, beside the built-in ones. */
  ca: string | null;
  /** "env", null, or the URL of a proxy. */
  proxy: string | null;
  proxyEnvironment: ProxyEnvironment;
}

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * The one way out, for HTTP and upgrades, with every default that a proxy needs set differently:
 * certificates are verified; no limit of connections per origin, so that nothing queues unseen; no
 * time limit on headers or body, because a model may think for many minutes; no pipelining; HTTP/1
 * only. It neither retries nor follows a redirect.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const tls = {
    rejectUnauthorized: true,
    ...(options.ca === null ? {} : { ca: [...rootCertificates, options.ca] }),
  };
  const settings = {
    connections: null,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
  } satisfies Agent.Options;
  if (options.proxy === null) return new Agent(settings);
  if (options.proxy !== 'env') {
    return keepHeaderLists(
      new ProxyAgent({ ...settings, uri: options.proxy, requestTls: settings.connect }),
    );
  }
  const { httpProxy, httpsProxy, noProxy } = options.proxyEnvironment;
  if (httpProxy === null && httpsProxy === null) return new Agent(settings);
  return keepHeaderLists(
    new EnvHttpProxyAgent({
      ...settings,
      requestTls: settings.connect,
      // Empty: undici would read the environment itself.
      httpProxy: httpProxy ?? '',
      httpsProxy: httpsProxy ?? '',
      noProxy: noProxy ?? '',
    }),
  );
}

// Undici's proxy agents fold a flat list of headers into an object, which loses repeated ones, but
// hand any other iterable on as it is.
function keepHeaderLists(dispatcher: Dispatcher): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    const { headers } = options;
    if (!Array.isArray(headers)) return dispatch(options, handler);
    return dispatch({ ...options, headers: { [Symbol.iterator]: () => pairs(headers) } }, handler);
  });
}

function* pairs(flat: readonly string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string];
}

const TIMEOUT_CODES = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT']);
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|UND_ERR_PRX_TLS)/;

/** A failed exchange in the words of `docs/errors.md`. */
export function upstreamError(error: unknown, origin: string): SidecarError {
  // A body that grew over its limit aborts the exchange with its own error.
  if (error instanceof SidecarError) return error;
  const code = errorCode(error);
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

// Happy Eyeballs and undici wrap the error that says what happened.
function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  return cause === undefined ? 'unknown error' : errorCode(cause);
}
