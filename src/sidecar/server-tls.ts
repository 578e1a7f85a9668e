import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { PeerCertificates } from '../inbound/peer-certificates.ts';
import { type TlsIdentity, tlsOptions } from '../inbound/tls.ts';
import type { ServerCertificate, TlsRead } from './tls-files.ts';

/** TLS of one server: its certificate, and those of its clients. */
export class ServerTls {
  readonly peers = new PeerCertificates();
  /** Why the newest files are not in use; null when they are. */
  problem: string | null = null;
  #read: TlsRead | null;
  #app: FastifyInstance | null = null;

  /** @param read null: plain HTTP */
  constructor(read: TlsRead | null) {
    this.#read = read;
  }

  /** What the server begins with. */
  get identity(): TlsIdentity | null {
    return this.#read?.identity ?? null;
  }

  /** The certificate that the next client is shown. */
  get certificate(): ServerCertificate | null {
    return this.#read?.certificate ?? null;
  }

  /** The server that was made with {@link identity}. */
  attach(app: FastifyInstance): void {
    this.#app = app;
  }

  /**
   * From the next connection on. Sessions that a client resumes are checked anew too, because the keys of
   * their tickets go with the old context.
   * @param authorityRemoved also lets no client certificate count that was shown before
   */
  use(read: TlsRead, authorityRemoved: boolean): void {
    this.#read = read;
    // It is an HTTPS server, or there would be no files to read again.
    const server = this.#app?.server as unknown as Server | undefined;
    server?.setSecureContext(tlsOptions(read.identity));
    if (authorityRemoved) this.peers.distrust();
  }
}
