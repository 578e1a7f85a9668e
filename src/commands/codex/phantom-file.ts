import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
import { type JsonObject, parseJsonObject } from '../../base/json.ts';
import { withFileLock } from '../../files/lock.ts';
import { makeFolder } from '../../files/ownership.ts';
import { replaceFile } from '../../files/replace-file.ts';
import { isPhantomLogin } from '../../oauth/phantom-login.ts';

const LOCK_WAIT_SECONDS = 10;

/**
 * Puts a phantom login into an agent's Codex home, under the lock that Codex takes. A login that is not
 * one of ours stays.
 * @param withLock other than by default, how to go on where no lock can be taken
 * @returns the path of the file
 * @throws Error of one line when the home holds another login
 */
export async function writePhantomLogin(
  codexHome: string,
  login: JsonObject,
  withLock: typeof withFileLock = withFileLock,
): Promise<string> {
  const path = join(codexHome, 'auth.json');
  await makeFolder(codexHome);
  await withLock(join(codexHome, 'auth.lock'), LOCK_WAIT_SECONDS, async () => {
    await requireNoOther(path);
    await replaceFile(path, `${JSON.stringify(login, null, 2)}\n`);
  });
  return path;
}

/** @throws Error when the home holds a login that is not a phantom one, or one that cannot be read */
export async function requireNoOther(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    const code = errnoOf(error);
    if (code === 'ENOENT') return '';
    throw new Error(`${path} cannot be read (${code}), so no login was written`);
  });
  if (text.trim() === '') return;
  const stored = parseJsonObject(text);
  if (stored && (isPhantomLogin(stored) || Object.keys(stored).length === 0)) return;
  throw new Error(
    `${path} holds a login of its own, which stays; sign out there with "CODEX_HOME=${dirname(path)} codex logout", or name another CODEX_HOME`,
  );
}
