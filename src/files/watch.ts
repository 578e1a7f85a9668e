import { type FSWatcher, readlinkSync, unwatchFile, watch, watchFile } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** Stops watching. */
export type StopWatching = () => void;

const POLL_MS = 5_000;
/** Replacing a file causes several events. */
const SETTLE_MS = 50;

/**
 * Calls back after the file at `path` may have changed, even if it is replaced by a rename or through
 * a link in its folder, as Kubernetes does with mounted secrets. Events of the folder come first,
 * where the file system has them; a slow poll of the file finds what they miss. Other files in the
 * folder, such as the logs and sessions of Codex, call nobody.
 */
export function watchPath(path: string, folder: string, changed: () => void): StopWatching {
  let timer: NodeJS.Timeout | null = null;
  const settle = () => {
    timer ??= setTimeout(() => {
      timer = null;
      changed();
    }, SETTLE_MS).unref();
  };
  const watcher = watchFolder(folder, (name) => {
    if (name === null || namesIn(folder, path).has(name)) settle();
  });
  watchFile(path, { persistent: false, interval: POLL_MS }, settle);
  return () => {
    watcher?.close();
    unwatchFile(path, settle);
    if (timer) clearTimeout(timer);
  };
}

/** null where there is no such folder yet, or where the file system has no events. */
function watchFolder(folder: string, changed: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, name) => changed(name));
    // The folder may be removed; the poll goes on.
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

/** A longer chain of links is a circle. */
const MAX_LINKS = 40;

/**
 * The entries of `folder` through which a look at `path` goes: the file itself, and the links on the
 * way to it. Nothing else in the folder can change what is found.
 */
export function namesIn(folder: string, path: string): Set<string> {
  const names = new Set<string>();
  const visit = (target: string) => {
    const [name = '..'] = relative(folder, target).split(sep);
    if (name === '..' || name === '' || names.has(name) || names.size > MAX_LINKS) return;
    names.add(name);
    for (const entry of new Set([join(folder, name), target])) {
      const link = linkAt(entry);
      if (link !== null) visit(resolve(dirname(entry), link));
    }
  };
  visit(path);
  return names;
}

function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
