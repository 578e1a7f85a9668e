import { type FSWatcher, unwatchFile, watch, watchFile } from 'node:fs';

/** Stops watching. */
export type StopWatching = () => void;

const POLL_MS = 5_000;

/**
 * Calls back whenever the file at `path` may have changed, also when it is replaced by rename or
 * through a link of a parent folder, as Kubernetes does with mounted secrets. Folder events come
 * first where the system has them; a slow poll of the file's status finds what they miss.
 */
export function watchPath(path: string, folder: string, changed: () => void): StopWatching {
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(folder, { persistent: false }, () => changed());
    // The folder may be removed; the poll goes on.
    watcher.on('error', () => watcher?.close());
  } catch {
    // No such folder yet, or no events on this file system: the poll remains.
  }
  const poll = () => changed();
  watchFile(path, { persistent: false, interval: POLL_MS }, poll);
  return () => {
    watcher?.close();
    unwatchFile(path, poll);
  };
}
