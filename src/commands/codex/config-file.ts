import { lstat, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../files/ownership.ts';
import { replaceFile } from '../../files/replace-file.ts';

/**
 * `config.toml` in a Codex home. As with `auth.json`, a symbolic link stays and its target is
 * replaced. A file that we cannot replace safely is refused.
 */
export class ConfigFile {
  readonly path: string;
  readonly #folder: string;
  #text: string | null = null;

  constructor(codexHome: string) {
    this.#folder = codexHome;
    this.path = join(codexHome, 'config.toml');
  }

  /** The empty string when there is no file. @throws Error of one line when we must not change it */
  async read(): Promise<string> {
    const bytes = await this.#readBytes();
    if (bytes === null) {
      await this.#requireOwner(this.#folder);
      return '';
    }
    try {
      this.#text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Error(`${this.path} is not UTF-8 text; fix it`);
    }
    return this.#text;
  }

  /**
   * Replaces the file with mode 0600, because it holds a token.
   * @returns the path of a copy of the old file; null when there was none
   */
  async replace(text: string): Promise<string | null> {
    await makeFolder(this.#folder);
    let backup: string | null = null;
    if (this.#text !== null) {
      backup = `${this.path}.${new Date().toISOString().replaceAll(/[-:]/g, '')}.bak`;
      await writeFile(backup, this.#text, { mode: 0o600, flag: 'wx' });
    }
    await replaceFile(this.path, text);
    return backup;
  }

  async #readBytes(): Promise<Buffer | null> {
    const entry = await lstat(this.path).catch(() => null);
    if (entry === null) return null;
    const info = await stat(this.path).catch(() => null);
    if (info === null) throw new Error(`${this.path} is a broken symbolic link; remove it`);
    if (!info.isFile()) throw new Error(`${this.path} is not a regular file; remove it`);
    if (info.nlink > 1) {
      throw new Error(
        `${this.path} has hard links, which would keep the old content; replace it with a copy`,
      );
    }
    await this.#requireOwner(this.path);
    return readFile(this.path);
  }

  /** If root replaced another user's file, its owner could no longer read it. */
  async #requireOwner(path: string): Promise<void> {
    const info = await stat(path).catch(() => null);
    if (info && process.getuid && info.uid !== process.getuid()) {
      throw new Error(`${path} belongs to another user; run this as its owner`);
    }
  }
}
