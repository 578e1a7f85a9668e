import type { Duplex } from 'node:stream';

/** How long a client may take to hang up after we have ended the connection; milliseconds. */
const LINGER_MS = 5_000;

/**
 * Ends a connection that no HTTP server manages. Destroying it at once could reset it and lose what
 * was sent last; waiting for ever would leak it. A slow reader still gets everything, because the
 * time runs only from the moment when all of it has been sent.
 */
export function closeGently(client: Duplex): void {
  if (client.destroyed) return;
  client.resume();
  if (!client.writableEnded) client.end();
  if (client.writableFinished) hangUpLater(client);
  else client.once('finish', () => hangUpLater(client));
}

function hangUpLater(client: Duplex): void {
  const timer = setTimeout(() => client.destroy(), LINGER_MS);
  timer.unref();
  client.once('close', () => clearTimeout(timer));
}
