import { BlockList, isIP, isIPv6 } from 'node:net';

/** What a `Host` header or an entry of `clients.allowedHosts` names. */
export interface Host {
  /** Lower case; an IPv6 address in its short form, without brackets. */
  name: string;
  port: number | null;
}

const DEFAULT_PORTS = [80, 443];

/**
 * null unless `text` is a name or an address, with or without a port. An IPv6 address without a port
 * needs no brackets.
 */
export function parseHost(text: string): Host | null {
  if (isIPv6(text)) return { name: shortForm(text), port: null };
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text);
  if (!match) return null;
  const [, address, name = '', digits] = match;
  if (address !== undefined && !isIPv6(address)) return null;
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && port > 65535) return null;
  return { name: address === undefined ? name.toLowerCase() : shortForm(address), port };
}

/** Whether `host` is `allowed`: the name, and the port where `allowed` has one. */
export function isHost(host: Host, allowed: Host): boolean {
  if (host.name !== allowed.name) return false;
  if (allowed.port === null || host.port === allowed.port) return true;
  // Clients omit the default port of their scheme.
  return host.port === null && DEFAULT_PORTS.includes(allowed.port);
}

function shortForm(address: string): string {
  // A URL cannot hold a zone.
  if (address.includes('%')) return address.toLowerCase();
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Whether `host` (a name, an IPv4 address, or an IPv6 address with or without brackets) is this machine. */
export function isLoopbackHost(host: string): boolean {
  // Called twice per request, and nearly always with one of these; a BlockList takes microseconds.
  if (host === '127.0.0.1' || host === 'localhost') return true;
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const family = isIP(bare);
  if (family === 0) return bare.toLowerCase() === 'localhost';
  return loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6');
}
