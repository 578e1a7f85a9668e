import type { FastifyInstance } from 'fastify';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { timerSchedule } from '../base/schedule.ts';
import { type ListenAddress, listen } from './listen.ts';
import type { Listener } from './preflight.ts';
import type { ServerTls } from './server-tls.ts';
import { certificateWarnings } from './tls-files.ts';
import { TlsWatch } from './tls-watch.ts';

/** A server that is built and does not listen yet. */
export interface BuiltListener {
  app: FastifyInstance;
  tls: ServerTls;
  listener: Listener;
}

export interface OpenListener {
  address: ListenAddress;
  /** Stops looking at the files; the server itself is closed by whoever built it. */
  close(): void;
}

/** Binds the address, and follows the files of its certificate. */
export async function openListener(
  { app, tls, listener }: BuiltListener,
  log: Logger,
): Promise<OpenListener> {
  const watch = watchTls(listener, tls, log);
  try {
    const address = await listen(app, listener.place, (line) => log.warn(line));
    return { address, close: () => watch?.close() };
  } catch (error) {
    watch?.close();
    throw error;
  }
}

/** @returns null where there are no files */
function watchTls({ tls: found }: Listener, tls: ServerTls, log: Logger): TlsWatch | null {
  if (found === null) return null;
  const { files, read } = found;
  for (const line of certificateWarnings(files, read.certificate, systemClock())) log.warn(line);
  return new TlsWatch({
    files,
    read,
    use: (changed, authorityRemoved) => tls.use(changed, authorityRemoved),
    refused: (problem) => {
      tls.problem = problem;
    },
    log,
    now: systemClock,
    schedule: timerSchedule,
  });
}
