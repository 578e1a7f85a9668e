import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type AltName, readAltNames } from '../base/alt-names.ts';

/** The certificate that a client has shown, and whose key it has. */
export interface PeerCertificate {
  names: readonly AltName[];
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** Why it must not be believed, in a word of OpenSSL or of ours; null when it may be. */
  problem: string | null;
}

/** The certificates of the clients that are connected. */
export class PeerCertificates {
  readonly #open = new Map<Socket, PeerCertificate>();

  /** Looks at each connection once, when its handshake is over. */
  watch(server: Server): void {
    server.on('secureConnection', (socket: TLSSocket) => {
      const certificate = certificateOf(socket);
      if (certificate === null) return;
      this.#open.set(socket, certificate);
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  /** null without a certificate. */
  of(socket: Socket): PeerCertificate | null {
    return this.#open.get(socket) ?? null;
  }

  /** An authority is gone, and what was checked with it may not be valid any more. */
  distrust(): void {
    for (const [socket, certificate] of this.#open) {
      const problem = certificate.problem ?? 'the authorities have changed since; connect again';
      this.#open.set(socket, { ...certificate, problem });
    }
  }
}

/**
 * A session of TLS 1.3 that is taken up again counts as authorized in Node.js even when no certificate
 * was ever shown, so the certificate itself is what decides.
 */
function certificateOf(socket: TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return null;
  // Its type is Error, but it is a code.
  const error: unknown = socket.authorizationError;
  return {
    names: readAltNames(certificate.subjectAltName),
    expiresAt: Date.parse(certificate.validTo),
    problem: socket.authorized ? null : String(error ?? 'it was not verified'),
  };
}
