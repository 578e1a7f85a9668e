import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type Emulator, startEmulator } from '../../../src/emulator/index.ts';
import { Issued } from '../../helpers/certificates.ts';
import { type NameServer, startNameServer } from './name-server.ts';

/** Hosts that a Codex may ask for. One that is missing here shows among the names that it looked up. */
const HOSTS = ['chatgpt.com', 'openai.com', 'oaistatic.com', 'github.com', 'githubusercontent.com'];
const TLS = new Issued({ names: HOSTS.flatMap((host) => [`DNS:${host}`, `DNS:*.${host}`]) });

/** Exit code of a program that could not be brought into its place. */
export const NO_PLACE = 125;

/**
 * An internet of one machine, for one Codex: every host name is at one loopback address, where the
 * emulated backend records what comes, over TLS on port 443, and over plain HTTP on the port of a
 * made-up sidecar.
 */
export interface Place {
  emulator: Emulator;
  /** Host and port of the sidecar. */
  sidecarHost: string;
  names: NameServer['names'];
  /** What to run so that a program finds itself in this place. Needs a network of its own already. */
  within(program: string, args: readonly string[]): string[];
  env: Record<string, string>;
  close(): Promise<void>;
}

/** @param address a loopback address that nobody else uses */
export async function makePlace(address: string): Promise<Place> {
  const emulator = await startEmulator({ host: address, port: 443, https: TLS });
  const names = await startNameServer(address);
  const sidecar = await startPlainDoor(address);
  const folder = await mkdtemp(join(tmpdir(), 'codex-place-'));
  const resolver = join(folder, 'resolv.conf');
  const authority = join(folder, 'authority.pem');
  await writeFile(resolver, `nameserver ${address}\n`);
  await writeFile(authority, TLS.cert);
  const bound = `mount --bind "$1" /etc/resolv.conf || exit ${NO_PLACE}; shift; exec "$@"`;
  return {
    emulator,
    sidecarHost: `${address}:${portOf(sidecar)}`,
    names: names.names,
    within: (program, args) => [
      'unshare',
      '-m',
      'sh',
      '-c',
      bound,
      'sh',
      resolver,
      program,
      ...args,
    ],
    env: { SSL_CERT_FILE: authority, CODEX_CA_CERTIFICATE: authority },
    close: async () => {
      names.close();
      sidecar.close();
      await emulator.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Takes plain connections and passes their bytes on to the emulated backend. */
async function startPlainDoor(address: string): Promise<Server> {
  const server = createServer((client) => {
    const upstream = connect({ host: address, port: 443, ca: TLS.cert, servername: HOSTS[0] });
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, address);
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
