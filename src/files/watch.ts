import { type FSWatcher, unwatchFile, watch, watchFile } from 'node:fs';

/** Stops watching. */
export type StopWatching = () => void;

const POLL_MS = 5_000;
/** Replacing a file causes several events. */
const SETTLE_MS = 50;

/**
 * Calls back after the file at `path` may have changed, even if it is replaced by a rename or through
 * a link in its folder, as Kubernetes does with mounted secrets. Events of the folder come first,
 * where the file system has them; a slow poll of the file finds what they miss.
 */
export function watchPath(path: string, folder: string, changed: () => void): StopWatching {
  let timer: NodeJS.Timeout | null = null;
  const settle = () => {
    timer ??= setTimeout(() => {
      timer = null;
      changed();
    }, SETTLE_MS).unref();
  };
  const watcher = watchFolder(folder, settle);
  watchFile(path, { persistent: false, interval: POLL_MS }, settle);
  return () => {
    watcher?.close();
    unwatchFile(path, settle);
    if (timer) clearTimeout(timer);
  };
}

/** null where there is no such folder yet, or where the file system has no events. */
function watchFolder(folder: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    // The folder may be removed; the poll goes on.
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
