import { isLoopbackHost } from '../base/host.ts';
import type { Place } from '../config/places.ts';

/** What is wrong with where a sidecar listens, and what to do about it. */
interface PlainHttp {
  problem: string;
  remedy: string;
}

/**
 * Without TLS, everything that a client sends over a network can be read on the way.
 * @returns null with TLS, and when connections cannot leave this machine: on loopback and on a Unix socket
 */
export function plainHttpBeyondLoopback({ key, listen }: Place): PlainHttp | null {
  const { socket, host, tls } = listen;
  if (socket !== null || isLoopbackHost(host) || tls.certFile !== null) return null;
  return {
    problem: `${key}.host ${host} is reached over plain HTTP: whoever can read that network can read client tokens and prompts`,
    remedy: `set ${key}.tls (certFile, keyFile), or allow only a network that nobody else can read`,
  };
}
