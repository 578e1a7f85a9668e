import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import { ConfigError, errnoOf } from '../base/errors.ts';

/** Proxy settings as the environment names them; HTTP_PROXY is for nothing that we dial. */
export interface ProxyEnvironment {
  httpsProxy: string | null;
  noProxy: string | null;
}

/** Settings of a direct connection. */
export type ConnectionSettings = Agent.Options & { connect: { timeout: number } };

/** As the environment says. */
export function throughEnvironment(
  settings: ConnectionSettings,
  { httpsProxy, noProxy }: ProxyEnvironment,
): Dispatcher {
  if (httpsProxy === null) return new Agent(settings);
  return throughProxy(settings, 'HTTPS_PROXY', httpsProxy, noProxy ?? '');
}

/**
 * Upstreams with https through one proxy. Those with plain http are on loopback and always dialled
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
    // Empty is none; without it undici would read the environment itself.
    httpProxy: '',
    noProxy,
  };
  return keepHeaderLists(new EnvHttpProxyAgent(options));
}

/** The proxy itself has to be reached, and has to answer, in the time of a connection. */
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
 * A proxy that hangs up instead of answering CONNECT looks to undici like an idle connection that
 * was closed, for which it dials again at once and without end.
 */
function withFinalFailures(pool: Pool): Pool {
  const tunnel = pool.connect.bind(pool) as (options: object) => Promise<Dispatcher.ConnectData>;
  const connect = async (options: object) => {
    try {
      return await tunnel(options);
    } catch (cause) {
      if (errnoOf(cause) !== 'UND_ERR_SOCKET') throw cause;
      throw Object.assign(new Error('the proxy hung up', { cause }), { code: 'PROXY_HUNG_UP' });
    }
  };
  return Object.assign(pool, { connect });
}

/**
 * The address of a proxy, and apart from it what authorises us there: undici would take a user only
 * with a password. An address without a scheme is http, as for curl.
 * @param name of the setting, for the error
 */
export function parseProxy(name: string, value: string): { uri: string; token?: string } {
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
