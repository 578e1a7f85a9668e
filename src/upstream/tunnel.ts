import type { Socket } from 'node:net';
import { type buildConnector, Pool } from 'undici';
import type { EgressProxy } from './egress-proxy.ts';
import { transportCode } from './transport-error.ts';

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
        throw tunnelFailure(cause);
      });
    // Undici hands out the connection itself.
    if (statusCode >= 200 && statusCode < 300) return socket as Socket;
    socket.on('error', () => undefined).destroy();
    throw tunnelError('PROXY_REFUSED', `the proxy answered ${statusCode}`);
  }
}

/**
 * Every failure to get a tunnel has a code of its own. Undici's codes are those of an exchange too,
 * which may have been carried out; here nothing has been sent. And a proxy that hangs up instead of
 * answering CONNECT looks to undici like an idle connection that was closed, for which it dials again
 * at once and without end.
 */
const FAILURES: Partial<Record<string, [code: string, message: string]>> = {
  UND_ERR_SOCKET: ['PROXY_HUNG_UP', 'the proxy hung up'],
  ECONNRESET: ['PROXY_HUNG_UP', 'the proxy hung up'],
  EPIPE: ['PROXY_HUNG_UP', 'the proxy hung up'],
  UND_ERR_HEADERS_TIMEOUT: ['PROXY_TIMEOUT', 'the proxy did not answer in time'],
  // Undici would take it for the upstream's own certificate.
  ERR_TLS_CERT_ALTNAME_INVALID: ['UND_ERR_PRX_TLS', 'the certificate of the proxy is for others'],
};

function tunnelFailure(cause: unknown): unknown {
  const failure = FAILURES[transportCode(cause)];
  return failure ? tunnelError(...failure, cause) : cause;
}

function tunnelError(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
