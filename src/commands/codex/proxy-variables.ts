import { BlockList, isIP } from 'node:net';
import type { Environment } from '../../sidecar/settings.ts';

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'];
const LOOPBACK_HOSTS = ['127.0.0.1', 'localhost'];

/**
 * Whether a Codex with this environment may send requests for `url` to a proxy. `NO_PROXY` is read as
 * Codex's HTTP client does (reqwest): entries are separated by commas, `*` exempts every host, a name
 * also exempts its subdomains, an address may have a prefix length, and ports are not known. Our own
 * requests to upstreams follow `upstream/egress-proxy.ts`, because undici reads the variable
 * differently.
 */
export function codexUsesProxy(env: Environment, url: URL): boolean {
  return hasProxy(env) && !isExempt(noProxyEntry(url), env.NO_PROXY ?? env.no_proxy ?? '');
}

/** The entry of `NO_PROXY` that exempts the host of `url`; an IPv6 address has no brackets there. */
export function noProxyEntry({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/**
 * The variables that keep a child from sending requests for the sidecar to a proxy, as Codex and
 * others do even on loopback; empty where no proxy is set.
 */
export function withoutProxy(env: Environment): Environment {
  if (!hasProxy(env)) return {};
  const { NO_PROXY: upper, no_proxy: lower } = env;
  return { NO_PROXY: withLoopback(upper || lower), no_proxy: withLoopback(lower || upper) };
}

function hasProxy(env: Environment): boolean {
  return PROXIES.some((name) => env[name] || env[name.toLowerCase()]);
}

/** The same list, separated by commas alone, because not every program takes spaces. */
function withLoopback(list: string | undefined): string {
  const hosts = (list ?? '').split(/[\s,]+/).filter((host) => host !== '');
  if (hosts.includes('*')) return hosts.join(',');
  return [...hosts, ...LOOPBACK_HOSTS.filter((host) => !hosts.includes(host))].join(',');
}

function isExempt(host: string, noProxy: string): boolean {
  const entries = noProxy.split(',').map((entry) => entry.trim().toLowerCase());
  return entries.some((entry) => entry === '*' || covers(entry, host));
}

function covers(entry: string, host: string): boolean {
  if (isIP(host) !== 0) return coversAddress(entry, host);
  const name = entry.replace(/^\./, '');
  return name !== '' && (host === name || host.endsWith(`.${name}`));
}

function coversAddress(entry: string, host: string): boolean {
  const [, address = entry, length] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? [];
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  const prefix = length === undefined ? longest : Number(length);
  if (family === 0 || family !== isIP(host) || prefix > longest) return false;
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(address, prefix, type);
  return list.check(host, type);
}
