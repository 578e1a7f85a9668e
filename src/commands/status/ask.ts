import { Agent } from 'undici';
import { USER_AGENT } from '../../base/version.ts';
import type { Config } from '../../config/resolve.ts';
import { CallError, createHttpClient, type TextResponse } from '../../upstream/http-client.ts';

/** Where a running sidecar listens. */
export type StatusTarget = { url: string } | { socket: string };

const TIMEOUT_MS = 5_000;
/** Far more than any status; whoever has taken the port may send without end. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Where the sidecar of a configuration listens. */
export function statusTarget(listen: Config['listen']): StatusTarget {
  if (listen.socket !== null) return { socket: listen.socket };
  const host = reachable(listen.host);
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}` };
}

/** Names the target in messages, without a user and password in its URL. */
export function placeOf(target: StatusTarget): string {
  return 'url' in target ? new URL(target.url).origin : target.socket;
}

/** Asks a running sidecar, never through a proxy. @throws Error of one line when it does not respond */
export async function askSidecar(target: StatusTarget, path: string): Promise<TextResponse> {
  const url = new URL(path, 'url' in target ? target.url : 'http://localhost');
  const agent = new Agent({
    connect: 'url' in target ? { timeout: TIMEOUT_MS } : { socketPath: target.socket },
  });
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

function problemOf(error: unknown): string {
  if (!(error instanceof CallError)) return 'cannot be asked';
  if (error.isTooLarge) return 'sends more than any status holds; is it a sidecar?';
  if (error.isTimeout) return `did not respond within ${TIMEOUT_MS / 1000} seconds`;
  return `cannot be reached (${error.code})`;
}

/** The address to connect to; a wildcard address is for listening only. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
