import { Agent } from 'undici';
import { USER_AGENT } from '../../base/version.ts';
import { adminPlace, mainPlace } from '../../config/places.ts';
import type { Config } from '../../config/resolve.ts';
import { trusting } from '../../upstream/connector.ts';
import { CallError, createHttpClient, type TextResponse } from '../../upstream/http-client.ts';
import { isTlsCode } from '../../upstream/transport-error.ts';

/** Where a running sidecar listens. */
export type StatusTarget = Address | { socket: string };

interface Address {
  url: string;
  /** The listener of our own settings, on this machine. */
  isOwn?: true;
  /** Trusted beside those of Node.js, in PEM form. */
  authorities?: readonly string[];
}

const TIMEOUT_MS = 5_000;
/** Far more than any status; whoever has taken the port may send without end. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Where the endpoints of the operator are. */
export function operatorTarget(config: Config): StatusTarget {
  return statusTarget((adminPlace(config) ?? mainPlace(config)).listen);
}

/** Where the sidecar of a configuration listens. */
export function statusTarget(listen: Config['listen']): StatusTarget {
  if (listen.socket !== null) return { socket: listen.socket };
  const host = reachable(listen.host);
  const scheme = listen.tls.certFile === null ? 'http' : 'https';
  return {
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${listen.port}`,
    isOwn: true,
  };
}

/** Names the target in messages, without a user and password in its URL. */
export function placeOf(target: StatusTarget): string {
  return 'url' in target ? new URL(target.url).origin : target.socket;
}

/** Asks a running sidecar, never through a proxy. @throws Error of one line when it does not respond */
export async function askSidecar(target: StatusTarget, path: string): Promise<TextResponse> {
  const url = new URL(path, 'url' in target ? target.url : 'http://localhost');
  const agent = new Agent({ connect: connection(target) });
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const basic = `Basic ${Buffer.from(user).toString('base64')}`;
  try {
    return await createHttpClient(
      agent,
      USER_AGENT,
    )({
      method: 'GET',
      url: url.href,
      headers: user === ':' ? {} : { authorization: basic },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
  } catch (error) {
    throw new Error(`${placeOf(target)} ${problemOf(error)}`);
  } finally {
    await agent.destroy();
  }
}

/**
 * The certificate of our own listener is not checked: it need not name this address, it may have been
 * renewed a moment ago, and what is asked holds no secret. `doctor` compares it with the file.
 */
function connection(target: StatusTarget) {
  if (!('url' in target)) return { socketPath: target.socket };
  if (target.isOwn) return { timeout: TIMEOUT_MS, rejectUnauthorized: false };
  const { authorities = [] } = target;
  // Only TLS needs it, and reading the authorities takes a moment.
  if (!target.url.startsWith('https:')) return { timeout: TIMEOUT_MS };
  return { timeout: TIMEOUT_MS, secureContext: trusting(authorities) };
}

function problemOf(error: unknown): string {
  if (!(error instanceof CallError)) return 'cannot be asked';
  if (error.isTooLarge) return 'sends more than any status holds; is it a sidecar?';
  if (error.isTimeout) return `did not respond within ${TIMEOUT_MS / 1000} seconds`;
  if (isTlsCode(error.code)) {
    return `shows a certificate that is not trusted here (${error.code}); name its authority in CODEX_CA_CERTIFICATE`;
  }
  return `cannot be reached (${error.code})`;
}

/** The address to connect to; a wildcard address is for listening only. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
