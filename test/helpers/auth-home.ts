import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { FileAuthStore, type WarnUnlocked } from '../../src/auth-store/file-store.ts';
import type { JsonObject } from '../../src/base/json.ts';

/** A Codex home folder of its own, gone with the test. */
export interface AuthHome {
  folder: string;
  /** Path of `auth.json`. */
  path: string;
  lockPath: string;
  store: FileAuthStore;
  write(content: object | string): void;
  text(): string;
  read(): JsonObject;
}

/** @param warnUnlocked see {@link FileAuthStore} */
export function makeAuthHome(
  t: Test,
  content?: object | string,
  warnUnlocked: WarnUnlocked | null = null,
): AuthHome {
  const folder = t.testdir({});
  const path = join(folder, 'auth.json');
  const write = (value: object | string) =>
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  const text = () => readFileSync(path, 'utf8');
  if (content !== undefined) write(content);
  return {
    folder,
    path,
    lockPath: join(folder, 'auth.lock'),
    store: new FileAuthStore(folder, warnUnlocked),
    write,
    text,
    read: () => JSON.parse(text()) as JsonObject,
  };
}
