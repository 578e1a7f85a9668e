import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import closeWithGrace from 'close-with-grace';
import { errnoOf } from '../../base/errors.ts';
import { type Emulator, startEmulator } from '../../emulator/index.ts';
import { makeFolder } from '../../files/ownership.ts';

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
  closeWithGrace({ logger: false }, () => backend.close());
  print(`emulated backend on ${backend.url}`);
  print(JSON.stringify({ upstream: backend.upstream }, null, 2));
  if (login !== null) print(`a throw-away login is in ${login}`);
}

/** @returns the path of the new auth.json */
async function writeLogin(codexHome: string, backend: Emulator): Promise<string> {
  const path = join(codexHome, 'auth.json');
  const text = `${JSON.stringify(backend.issueLogin().authJson, null, 2)}\n`;
  try {
    await makeFolder(codexHome);
    // "wx": never overwrite an existing login.
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return path;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST')
      throw new Error(`${path} already exists and was not overwritten; choose another folder`);
    throw new Error(`cannot write ${path} (${code})`);
  }
}
