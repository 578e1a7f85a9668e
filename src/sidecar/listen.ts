import { chmod, lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Place } from '../config/places.ts';
import { LockError, withLockIfPossible } from '../files/lock.ts';
import { listenTcp } from './listen-addresses.ts';

/** Where a sidecar can be reached. */
export interface ListenAddress {
  port: number | null;
  socket: string | null;
  url: string | null;
}

const LOCK_WAIT_SECONDS = 30;

/** The address cannot be used; the message says what to do. */
class ListenError extends Error {
  override readonly name = 'ListenError';
}

/**
 * Listens at a place of the configuration. The socket file of a dead process is replaced, that of a live one is not.
 * @param warn gets a line when two sidecars that start at the same time could miss each other, and
 *   for an address that is left out
 */
export async function listen(
  app: FastifyInstance,
  place: Place,
  warn: (line: string) => void,
): Promise<ListenAddress> {
  const { listen: config } = place;
  try {
    return config.socket === null
      ? addressOf(
          await listenTcp(app, config.host, config.port, warn),
          config.tls.certFile !== null,
        )
      : await listenSocket(app, config.socket, place, warn);
  } catch (error) {
    if (error instanceof ListenError || error instanceof LockError) throw error;
    throw explain(error as NodeJS.ErrnoException, place);
  }
}

/** The URL of an address that is listened on. */
function addressOf({ address, family, port }: AddressInfo, isTls: boolean): ListenAddress {
  const name = family === 'IPv6' ? `[${address}]` : address;
  return { port, socket: null, url: `${isTls ? 'https' : 'http'}://${name}:${port}` };
}

/**
 * Between the check of a stale socket and its removal another sidecar could create its own, and
 * between bind and listen a live socket looks dead. So all of this happens under a lock, which a
 * process holds only while it starts.
 */
async function listenSocket(
  app: FastifyInstance,
  path: string,
  place: Place,
  warn: (line: string) => void,
): Promise<ListenAddress> {
  const mode = Number.parseInt(place.listen.socketMode, 8);
  await app.ready();
  let unlocked: string | null = null;
  const bind = async () => {
    await removeStaleSocket(path, place);
    await bindSocket(app, path, mode);
  };
  await withLockIfPossible(`${path}.lock`, LOCK_WAIT_SECONDS, bind, ({ message }) => {
    unlocked = message;
  });
  // Not earlier: the error of a failed bind says more.
  if (unlocked !== null) {
    warn(`${unlocked}; start no other sidecar on ${path} at the same moment`);
  }
  return { port: null, socket: path, url: null };
}

async function bindSocket(app: FastifyInstance, path: string, mode: number): Promise<void> {
  // Nobody else may connect between creation and chmod. The umask applies to the whole process, so
  // it is changed for the bind alone.
  const previous = process.umask(0o177);
  try {
    await app.listen({ path });
  } finally {
    process.umask(previous);
  }
  await chmod(path, mode);
}

async function removeStaleSocket(path: string, place: Place): Promise<void> {
  const info = await lstat(path).catch(() => null);
  if (!info) return;
  if (!info.isSocket()) throw new ListenError(`${path} exists and is not a socket; remove it`);
  if (await isAlive(path)) {
    const setting = settingOf(place, 'socket');
    throw new ListenError(`${path} belongs to a running process; choose another with ${setting}`);
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
    // Only a refused connection proves that nobody listens; a full queue or EACCES does not.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

function explain(error: NodeJS.ErrnoException, place: Place): ListenError {
  const { listen } = place;
  const address = listen.socket ?? `${listen.host}:${listen.port}`;
  if (error.code === 'EADDRINUSE') {
    const setting = settingOf(place, listen.socket === null ? 'port' : 'socket');
    return new ListenError(
      `${address} is taken by another process; choose another with ${setting}`,
    );
  }
  return new ListenError(`cannot listen on ${address} (${error.code ?? error.message})`);
}

/** What sets another one: an option where there is one, else the key. */
function settingOf({ key }: Place, name: 'port' | 'socket'): string {
  return key === 'listen' ? `--${name}` : `${key}.${name}`;
}
