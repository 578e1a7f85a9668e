import { ConfigError } from '../base/errors.ts';

/** Proxy settings from the environment. HTTP_PROXY is not among them: we dial plain http directly. */
export interface ProxyEnvironment {
  httpsProxy: string | null;
  noProxy: string | null;
}

export interface ProxySettings {
  /** "env", null, or the URL of a proxy; only https upstreams use it. */
  proxy: string | null;
  proxyEnvironment: ProxyEnvironment;
}

/** The proxy that the settings name. */
export interface EgressProxy {
  /** Without user and password. */
  url: URL;
  /** Value of `proxy-authorization`; null without a user. */
  authorization: string | null;
  /**
   * Whether requests to `url` go through it. Plain http upstreams are on loopback and always dialled
   * directly: a proxy would read their credentials, and dial a loopback of its own.
   */
  serves(url: URL): boolean;
}

/** @throws ConfigError when its address cannot be used */
export function egressProxy({ proxy, proxyEnvironment }: ProxySettings): EgressProxy | null {
  const isEnvironment = proxy === 'env';
  const { httpsProxy, noProxy } = proxyEnvironment;
  const address = isEnvironment ? httpsProxy : proxy;
  if (address === null) return null;
  const exempt = isEnvironment ? (noProxy ?? '') : '';
  return {
    ...parseProxy(isEnvironment ? 'HTTPS_PROXY' : 'upstream.proxy', address),
    serves: (url) => url.protocol === 'https:' && !isExempt(url, exempt),
  };
}

/** The proxy that a request to `url` goes through; null when it is dialled directly. */
export function proxyFor(url: URL, settings: ProxySettings): URL | null {
  const proxy = egressProxy(settings);
  return proxy?.serves(url) ? proxy.url : null;
}

/**
 * `NO_PROXY`, read as undici's EnvHttpProxyAgent does: `*` alone exempts everything, a name also its
 * subdomains, and an entry may have a port.
 */
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
 * Splits the address of a proxy from the user and password in it. An address without a scheme is
 * http, as for curl.
 * @param name of the setting, for the error
 */
function parseProxy(name: string, value: string): { url: URL; authorization: string | null } {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol.startsWith('socks')) {
    throw new ConfigError(
      `${name} names a SOCKS proxy, which is not supported; name an http proxy`,
    );
  }
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError(`${name} must be an http or https URL`);
  }
  const { username, password } = url;
  if (username === '' && password === '') return { url, authorization: null };
  url.username = '';
  url.password = '';
  const user = `${decode(name, username)}:${decode(name, password)}`;
  return { url, authorization: `Basic ${Buffer.from(user).toString('base64')}` };
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`${name}: user and password must be percent-encoded UTF-8`);
  }
}
