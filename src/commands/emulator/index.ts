import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import closeWithGrace from 'close-with-grace';
import { errnoOf } from '../../base/errors.ts';
import { parseJsonObject } from '../../base/json.ts';
import { type Emulator, isThrowAwayLogin, startEmulator } from '../../emulator/index.ts';
import { makeFolder } from '../../files/ownership.ts';
import { readTextFile } from '../../files/read-text.ts';
import { replaceFile } from '../../files/replace-file.ts';
import { CRASHES } from '../process.ts';

interface EmulatorCommandOptions {
  host: string;
  port: number;
  /** Folder for an `auth.json` with a throw-away login; null writes no file. */
  codexHome: string | null;
  print: (line: string) => void;
}

/** Serves the emulated backend until a signal arrives, and prints how to point a sidecar at it. */
export async function emulator(options: EmulatorCommandOptions): Promise<void> {
  const { host, port, codexHome, print } = options;
  const backend = await startEmulator({ host, port });
  let login: string | null = null;
  try {
    if (codexHome !== null) login = await writeLogin(codexHome, backend);
  } catch (error) {
    await backend.close();
    throw error;
  }
  closeWithGrace({ logger: false, skip: [...CRASHES] }, () => backend.close());
  print(`emulated backend on ${backend.url}`);
  print(JSON.stringify({ upstream: backend.upstream }, null, 2));
  if (login !== null) print(`a throw-away login is in ${login}`);
}

/**
 * Writes a new login. The one of an emulator that has ended is worth nothing, so it is replaced; any
 * other one is not.
 * @returns the path of auth.json
 */
async function writeLogin(codexHome: string, backend: Emulator): Promise<string> {
  const path = join(codexHome, 'auth.json');
  const text = `${JSON.stringify(backend.issueLogin().authJson, null, 2)}\n`;
  const old = await readTextFile(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null;
    throw new Error(`cannot read ${path} (${errnoOf(error)})`);
  });
  if (old !== null && !isThrowAwayLogin(parseJsonObject(old))) {
    throw new Error(
      `${path} holds a login that is not of an emulator, and was not overwritten; choose another folder`,
    );
  }
  try {
    await makeFolder(codexHome);
    if (old !== null) await replaceFile(path, text);
    // "wx": a file that has come meanwhile stays.
    else await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return path;
  } catch (error) {
    throw new Error(`cannot write ${path} (${errnoOf(error)})`);
  }
}
