import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import { ConfigError } from '../base/errors.ts';
import { transportCode } from './transport-error.ts';

/** Proxy settings from the environment. HTTP_PROXY is not among them: we dial plain http directly. */
export interface ProxyEnvironment {
  httpsProxy: string | null;
  noProxy: string | null;
}

/** Settings of a direct connection. */
type ConnectionSettings = Agent.Options & { connect: { timeout: number } };

/** Dials as the environment says. */
export function throughEnvironment(
  settings: ConnectionSettings,
  { httpsProxy, noProxy }: ProxyEnvironment,
): Dispatcher {
  if (httpsProxy === null) return new Agent(settings);
  return throughProxy(settings, 'HTTPS_PROXY', httpsProxy, noProxy ?? '');
}

/**
 * Dials https upstreams through one proxy. Plain http ones are on loopback and always dialled
 * directly: a proxy would read their credentials, and dial a loopback of its own.
 * @param name of the setting that holds `proxy`
 * @param noProxy as in `NO_PROXY`
 */
export function throughProxy(
  settings: ConnectionSettings,
  name: string,
  proxy: string,
  noProxy: string,
): Dispatcher {
  const { uri, ...authorization } = parseProxy(name, proxy);
  const options = {
    ...tunnelled(settings),
    ...authorization,
    httpsProxy: uri,
    // Empty string: no proxy. Without it undici would read the environment itself.
    httpProxy: '',
    noProxy,
  };
  return keepHeaderLists(new EnvHttpProxyAgent(options));
}

/** Reaching the proxy, and its answer to CONNECT, are bounded like a connection. */
function tunnelled(settings: ConnectionSettings) {
  const { connect } = settings;
  return {
    ...settings,
    requestTls: connect,
    proxyTls: connect,
    clientFactory: (origin: URL, options: object) =>
      withFinalFailures(new Pool(origin, { ...options, headersTimeout: connect.timeout })),
  };
}

/**
 * Gives every failure to get a tunnel a code of its own. Undici's codes are those of an exchange too,
 * which may have been carried out; here nothing has been sent. And a proxy that hangs up instead of
 * answering CONNECT looks to undici like an idle connection that was closed, for which it dials again
 * at once and without end.
 */
function withFinalFailures(pool: Pool): Pool {
  const tunnel = pool.connect.bind(pool) as (options: object) => Promise<Dispatcher.ConnectData>;
  const connect = async (options: object) => {
    const answered = await tunnel(options).catch((cause: unknown) => {
      const failure = TUNNEL_FAILURES[transportCode(cause)];
      throw failure ? tunnelError(...failure, cause) : cause;
    });
    if (answered.statusCode === 200) return answered;
    answered.socket.on('error', () => undefined).destroy();
    throw tunnelError('PROXY_REFUSED', `the proxy answered ${answered.statusCode}`);
  };
  return Object.assign(pool, { connect });
}

const TUNNEL_FAILURES: Partial<Record<string, [code: string, message: string]>> = {
  UND_ERR_SOCKET: ['PROXY_HUNG_UP', 'the proxy hung up'],
  ECONNRESET: ['PROXY_HUNG_UP', 'the proxy hung up'],
  EPIPE: ['PROXY_HUNG_UP', 'the proxy hung up'],
  UND_ERR_HEADERS_TIMEOUT: ['PROXY_TIMEOUT', 'the proxy did not answer in time'],
};

function tunnelError(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

/**
 * The proxy that a request to `url` goes through; null when it is dialled directly. What the
 * dispatchers of this file do, told without a connection; `NO_PROXY` is read as undici's
 * EnvHttpProxyAgent does: `*` alone exempts everything, a name also its subdomains.
 * @param setting.proxy "env", null, or the URL of a proxy
 */
export function proxyFor(
  url: URL,
  { proxy, proxyEnvironment }: { proxy: string | null; proxyEnvironment: ProxyEnvironment },
): URL | null {
  if (url.protocol !== 'https:') return null;
  if (proxy !== 'env') {
    return proxy === null ? null : new URL(parseProxy('upstream.proxy', proxy).uri);
  }
  const { httpsProxy, noProxy } = proxyEnvironment;
  if (httpsProxy === null || isExempt(url, noProxy ?? '')) return null;
  return new URL(parseProxy('HTTPS_PROXY', httpsProxy).uri);
}

function isExempt({ hostname, port }: URL, noProxy: string): boolean {
  if (noProxy === '*') return true;
  return noProxy
    .split(/[,\s]/)
    .filter(Boolean)
    .some((entry) => {
      const [, host = entry, entryPort = '0'] = /^(.+):(\d+)$/.exec(entry) ?? [];
      if (Number(entryPort) !== 0 && Number(entryPort) !== Number(port || 443)) return false;
      const name = host.replace(/^\*?\./, '').toLowerCase();
      return hostname === name || hostname.endsWith(`.${name}`);
    });
}

/**
 * Splits the address of a proxy from the user and password in it, because undici would ignore a user
 * without a password. An address without a scheme is http, as for curl.
 * @param name of the setting, for the error
 */
function parseProxy(name: string, value: string): { uri: string; token?: string } {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError(`${name} must be an http or https URL`);
  }
  const { username, password } = url;
  if (username === '' && password === '') return { uri: text };
  url.username = '';
  url.password = '';
  const user = `${decode(name, username)}:${decode(name, password)}`;
  return { uri: url.href, token: `Basic ${Buffer.from(user).toString('base64')}` };
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`${name}: user and password must be percent-encoded UTF-8`);
  }
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
