import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { PeerCertificates } from '../inbound/peer-certificates.ts';
import { tlsOptions } from '../inbound/tls.ts';
import type { TlsRead } from './tls-files.ts';

/** TLS of a server that runs. */
export class ServerTls {
  readonly #app: FastifyInstance;
  readonly #peers: PeerCertificates;

  constructor(app: FastifyInstance, peers: PeerCertificates) {
    this.#app = app;
    this.#peers = peers;
  }

  /**
   * From the next connection on. Sessions of TLS that are taken up again are checked anew too, because
   * the keys of their tickets go with the old context.
   * @param authorityRemoved also lets no certificate count that was shown before
   */
  readonly use = ({ identity }: TlsRead, authorityRemoved: boolean): void => {
    // Made by an HTTPS server, or there would be no files to read again.
    const server = this.#app.server as unknown as Server;
    server.setSecureContext(tlsOptions(identity));
    if (authorityRemoved) this.#peers.distrust();
  };
}
