import { chmod, lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.ts';

/** Where a sidecar can be reached. */
export interface ListenAddress {
  port: number | null;
  socket: string | null;
  url: string | null;
}

/** The address cannot be had; the message says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Listens as configured. A socket file of a dead process is taken over, one of a live one is not. */
export async function listen(
  app: FastifyInstance,
  config: Config['listen'],
): Promise<ListenAddress> {
  try {
    return config.socket === null
      ? await listenTcp(app, config.host, config.port)
      : await listenSocket(app, config.socket, Number.parseInt(config.socketMode, 8));
  } catch (error) {
    if (error instanceof ListenError) throw error;
    throw explain(error as NodeJS.ErrnoException, config);
  }
}

async function listenTcp(app: FastifyInstance, host: string, port: number): Promise<ListenAddress> {
  await app.listen({ host, port });
  const address = app.server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { port: address.port, socket: null, url: `http://${name}:${address.port}` };
}

async function listenSocket(
  app: FastifyInstance,
  path: string,
  mode: number,
): Promise<ListenAddress> {
  await removeStaleSocket(path);
  // What remains to be done under the umask, which holds for the whole process, is the bind alone.
  await app.ready();
  // Between creation and chmod nobody else may connect.
  const previous = process.umask(0o177);
  try {
    await app.listen({ path });
  } finally {
    process.umask(previous);
  }
  await chmod(path, mode);
  return { port: null, socket: path, url: null };
}

async function removeStaleSocket(path: string): Promise<void> {
  const info = await lstat(path).catch(() => null);
  if (!info) return;
  if (!info.isSocket()) throw new ListenError(`${path} exists and is not a socket; remove it`);
  if (await isAlive(path)) {
    throw new ListenError(`${path} belongs to a running process; choose another with --socket`);
  }
  await unlink(path);
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Only a refusal proves that nobody listens; a full queue or a missing permission does not.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

function explain(error: NodeJS.ErrnoException, config: Config['listen']): ListenError {
  const place = config.socket ?? `${config.host}:${config.port}`;
  if (error.code === 'EADDRINUSE') {
    const option = config.socket === null ? '--port' : '--socket';
    return new ListenError(`${place} is taken by another process; choose another with ${option}`);
  }
  return new ListenError(`cannot listen on ${place} (${error.code ?? error.message})`);
}
