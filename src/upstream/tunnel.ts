import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type buildConnector, Pool } from 'undici';
import type { EgressProxy } from './egress-proxy.ts';
import { failureText, transportCode } from './failure-text.ts';
import { ProxyError } from './proxy-error.ts';

type Connect = buildConnector.connector;

/**
 * Connections to upstreams through a proxy, made with CONNECT (RFC 9110, section 9.3.6). Undici's
 * proxy agents fold repeated headers into one, read NO_PROXY a second time, and dial a proxy that
 * hangs up again and again.
 */
export class Tunnels {
  readonly #proxy: EgressProxy;
  readonly #dial: Connect;
  readonly #pool: Pool;

  /**
   * @param dial makes the connection to the proxy, and TLS inside a tunnel
   * @param answerMs how long the proxy may take to answer CONNECT; milliseconds
   */
  constructor(proxy: EgressProxy, dial: Connect, answerMs: number) {
    this.#proxy = proxy;
    this.#dial = dial;
    this.#pool = new Pool(proxy.url.origin, {
      connect: dial,
      connections: null,
      headersTimeout: answerMs,
    });
  }

  readonly connect: Connect = (target, done) => {
    this.#open(target).then(
      (httpSocket) => this.#dial({ ...target, httpSocket }, done),
      (error: unknown) => done(asError(error), null),
    );
  };

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  /** A connection to the target, without its TLS. */
  async #open({ host = '', port, hostname }: buildConnector.Options): Promise<Socket> {
    const authority = port ? host : `${host}:443`;
    const { authorization, url } = this.#proxy;
    const { statusCode, socket } = await this.#pool
      .connect({
        path: authority || hostname,
        headers: {
          host,
          'proxy-connection': 'keep-alive',
          ...(authorization === null ? {} : { 'proxy-authorization': authorization }),
        },
        servername: url.hostname,
      } as Parameters<Pool['connect']>[0])
      .catch((cause: unknown) => {
        throw tunnelFailure(url, cause);
      });
    // Undici hands out the connection itself. Any 2xx opens a tunnel (RFC 9110, section 9.3.6).
    if (statusCode >= 200 && statusCode < 300) return socket as Socket;
    socket.on('error', () => undefined).destroy();
    throw refusal(url, statusCode);
  }
}

/**
 * Undici's codes are those of an exchange too, which may have been carried out; here nothing has been
 * sent, so these have codes of their own. And a proxy that hangs up instead of answering CONNECT looks
 * to undici like an idle connection that was closed, for which it dials again at once and without end.
 */
const OWN_CODES: Partial<Record<string, string>> = {
  UND_ERR_SOCKET: 'PROXY_HUNG_UP',
  ECONNRESET: 'PROXY_HUNG_UP',
  EPIPE: 'PROXY_HUNG_UP',
  UND_ERR_HEADERS_TIMEOUT: 'PROXY_TIMEOUT',
  UND_ERR_CONNECT_TIMEOUT: 'PROXY_TIMEOUT',
  ETIMEDOUT: 'PROXY_TIMEOUT',
  // Undici would take it for the upstream's own certificate.
  ERR_TLS_CERT_ALTNAME_INVALID: 'UND_ERR_PRX_TLS',
};

function tunnelFailure(proxy: URL, cause: unknown): ProxyError {
  const code = transportCode(cause);
  return new ProxyError(
    OWN_CODES[code] ?? code,
    `the proxy ${proxy.origin}: ${failureText(cause)}`,
    cause,
  );
}

function refusal(proxy: URL, status: number): ProxyError {
  const reason = STATUS_CODES[status];
  const what = reason === undefined ? `${status}` : `${status} ${reason}`;
  const remedy = status === 407 ? '; it wants a user and a password in its URL' : '';
  return new ProxyError(
    'PROXY_REFUSED',
    `the proxy ${proxy.origin} answered CONNECT with ${what}${remedy}`,
  );
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
