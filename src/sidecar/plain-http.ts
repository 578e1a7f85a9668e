import { isLoopbackHost } from '../base/host.ts';
import type { Config } from '../config/resolve.ts';

/** What is wrong with where a sidecar listens, and what to do about it. */
interface PlainHttp {
  problem: string;
  remedy: string;
}

/**
 * The listener has no TLS, so on a network everything that a client sends can be read on the way.
 * @returns null when connections cannot leave this machine: on loopback and on a Unix socket
 */
export function plainHttpBeyondLoopback({ socket, host }: Config['listen']): PlainHttp | null {
  if (socket !== null || isLoopbackHost(host)) return null;
  return {
    problem: `listen.host ${host} is reached over plain HTTP: whoever can read that network can read client tokens and prompts`,
    remedy:
      'put a proxy with TLS in front of it, or allow only a network that nobody else can read',
  };
}
