import { writeFile } from 'node:fs/promises';
import { connect as dialRaw } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { type CertificateFields, Issued } from './certificates.ts';
import { makeFolder } from './sidecar.ts';

/** An authority, a listener's files from it, and what a client needs. */
export interface TlsStand {
  authority: Issued;
  folder: string;
  /** `listen.tls` of the configuration. */
  config: { certFile: string; keyFile: string; clientCaFile?: string; clientNames?: string[] };
  /** Trusts the listener. */
  trust: { ca: string };
  /** Puts another certificate, from the same authority, into the files. */
  renew(fields?: CertificateFields): Promise<Issued>;
  /** A certificate of a client, from an authority of clients. */
  client(fields: CertificateFields): { ca: string; cert: string; key: string };
  clientAuthority: Issued;
}

/** @param clientNames asks for client certificates with these names */
export async function makeTls(t: Test, clientNames: string[] | null = null): Promise<TlsStand> {
  const folder = await makeFolder(t);
  const authority = new Issued({ isAuthority: true });
  const clientAuthority = new Issued({ isAuthority: true });
  const config: TlsStand['config'] = {
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
  };
  if (clientNames !== null) {
    config.clientCaFile = join(folder, 'clients.pem');
    config.clientNames = clientNames;
    await writeFile(config.clientCaFile, clientAuthority.cert);
  }
  const trust = { ca: authority.cert };
  const renew = async (fields: CertificateFields = {}) => {
    const issued = authority.issue({ names: ['IP:127.0.0.1', 'DNS:localhost'], ...fields });
    await writeFile(config.keyFile, issued.key, { mode: 0o600 });
    await writeFile(config.certFile, issued.cert);
    return issued;
  };
  await renew();
  const client = (fields: CertificateFields) => {
    const { cert, key } = clientAuthority.issue({ usage: 'client', ...fields });
    return { ...trust, cert, key };
  };
  return { authority, folder, config, trust, renew, client, clientAuthority };
}

/** A TLS connection that goes with the test. */
export function dialTls(t: Test, port: number, options: ConnectionOptions): TLSSocket {
  const raw = dialRaw({ port, host: '127.0.0.1', allowHalfOpen: true });
  const socket = connect({ host: '127.0.0.1', ...options, socket: raw });
  t.teardown(() => socket.destroy());
  socket.on('error', () => socket.destroy());
  return socket;
}
