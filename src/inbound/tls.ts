import { constants } from 'node:crypto';
import type { Server } from 'node:http';
import type { ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Secret } from '../base/secret.ts';
import type { ExchangeLog } from '../telemetry/exchange-record.ts';
import { closeGently } from './lingering-close.ts';
import { rawResponse } from './raw-response.ts';

/** What a listener with TLS proves itself with, and whose clients it knows. All in PEM form. */
export interface TlsIdentity {
  /** The certificate and, behind it, those of its issuers. */
  cert: string;
  key: Secret;
  /** Authorities of client certificates; null asks no client for one. */
  clientAuthorities: readonly string[] | null;
}

/** Longest time from a connection to the end of its handshake; milliseconds. */
const HANDSHAKE_MS = 10_000;

/** Options of Node's HTTPS server that concern TLS. */
export function tlsOptions({ cert, key, clientAuthorities }: TlsIdentity): ServerOptions {
  return {
    cert,
    key: key.reveal(),
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ALPNProtocols: ['http/1.1'],
    ...(clientAuthorities === null ? {} : { ca: [...clientAuthorities] }),
    // Without a certificate a client may still have a token. What is wrong with one is said in a
    // response, because a failed handshake says next to nothing.
    requestCert: clientAuthorities !== null,
    rejectUnauthorized: false,
    // As Node's HTTP server has them.
    allowHalfOpen: true,
    noDelay: true,
  };
}

/** The event with which a server announces a connection that is ready for HTTP. */
export function connectionEvent(server: Server): 'connection' | 'secureConnection' {
  return server instanceof TlsServer ? 'secureConnection' : 'connection';
}

/** The TCP connection below a TLS connection. */
export function rawConnection(socket: TLSSocket): Socket | null {
  // Its types leave it out.
  return (socket as { _parent?: Socket | null })._parent ?? null;
}

/** First octet of a TLS connection: a record of the handshake (RFC 8446, section 5.1). */
const HANDSHAKE_RECORD = 22;

/**
 * Lets nothing but TLS into an HTTPS server. Whoever speaks plain HTTP is told so, in words that an HTTP
 * client shows. Whoever does not come to the end of a handshake is let go.
 */
export function admitTlsOnly(
  app: FastifyInstance,
  log: Logger,
  exchangeLog: ExchangeLog,
  handshakeMs = HANDSHAKE_MS,
): void {
  const { server } = app;
  // Node's own listener, which begins the handshake.
  const [begin] = server.listeners('connection');
  server.removeAllListeners('connection');
  const pending = new Map<Socket, NodeJS.Timeout>();
  const settle = (raw: Socket) => {
    clearTimeout(pending.get(raw));
    pending.delete(raw);
  };
  server.on('connection', (raw: Socket) => {
    pending.set(raw, setTimeout(() => raw.destroy(), handshakeMs).unref());
    raw.once('close', () => settle(raw));
    whenItSpeaks(raw, (first) => {
      if (first === HANDSHAKE_RECORD) begin?.call(server, raw);
      else refusePlain(raw, exchangeLog);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const raw = rawConnection(socket);
    if (raw) settle(raw);
  });
  // Node would treat it as a malformed request, but there is nobody to respond to.
  server.removeAllListeners('tlsClientError');
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    log.debug({ code: error.code, from: socket.remoteAddress }, 'a TLS handshake failed');
    socket.destroy();
  });
  // The HTTP server does not know these, but would wait for them.
  app.addHook('preClose', (done) => {
    for (const raw of pending.keys()) raw.destroy();
    done();
  });
}

/** Calls back with the first octet, which stays to be read. */
function whenItSpeaks(raw: Socket, callBack: (first: number | undefined) => void): void {
  raw.on('error', () => raw.destroy());
  const leave = () => raw.destroy();
  raw.once('end', leave);
  raw.once('data', (chunk: Buffer) => {
    raw.off('end', leave);
    raw.pause();
    raw.unshift(chunk);
    callBack(chunk[0]);
  });
}

function refusePlain(raw: Socket, exchangeLog: ExchangeLog): void {
  const refusal = new SidecarError(
    'AUTH_REQUEST_INVALID',
    'this address speaks TLS: begin the URL with https',
  );
  raw.write(rawResponse(refusal));
  closeGently(raw);
  exchangeLog.refused(null, refusal);
}
