import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { errnoOf } from '../base/errors.ts';
import { replaceFile } from './replace-file.ts';

/** As a file is opened that is written anew, but its content stays. */
const TO_WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

/**
 * Writes a file that tells other programs something, which may be waiting for it: they see it whole, or
 * not at all. Mode and owner of a file that is there stay; a new one has the mode that the umask gives.
 * What isn't a regular file, such as a pipe, is written as it is.
 * @throws the system's error, also for a file that may not be written although its folder may
 */
export async function publishFile(path: string, text: string): Promise<void> {
  if (!(await isThere(path))) {
    await replaceFile(path, text, undefined, 0o666);
    return;
  }
  // A rename by itself would also replace what somebody else has put there and we may not write.
  const old = await open(path, TO_WRITE);
  try {
    const info = await old.stat();
    if (info.isFile()) await replaceFile(path, text, info);
    else await old.writeFile(text);
  } finally {
    await old.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
