import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { makeFolder } from '../../files/ownership.ts';
import { parseToml } from '../codex/config-toml.ts';
import { isShared, linkTo } from './shared-entries.ts';

/** A larger file is not one that a person wrote. */
const MAX_BYTES = 1024 * 1024;
const GOES_UP = /(^|\/)\.\.(\/|$)/;

/**
 * Codex takes a relative path in a configuration file from the folder of that file, as text. So that
 * `../x` leads to the same place from the program's home, that home has the path of the real one below
 * `root`, and beside the folders on that way there are links to what the configuration names.
 */
export async function linkOutside(real: string, root: string): Promise<void> {
  for (const file of await tomlFiles(real)) {
    for (const path of pathsIn(await readFile(file, 'utf8').catch(() => ''))) {
      const target = outside(real, resolve(dirname(file), path));
      if (target === null) continue;
      const place = join(root, target);
      await makeFolder(dirname(place));
      await linkTo(target, place);
    }
  }
}

/** The entry beside `real`, or beside a folder that it is in, through which `path` goes. */
export function outside(real: string, path: string): string | null {
  const parts = relative(real, path).split(sep);
  const ups = parts.findIndex((part) => part !== '..');
  if (ups < 1) return null;
  return resolve(real, ...parts.slice(0, ups + 1));
}

/** Codex reads those of the home itself, and those of roles in folders below. */
async function tomlFiles(real: string): Promise<string[]> {
  const files: string[] = [];
  const look = async (folder: string, isDeep: boolean) => {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      if (entry.name.endsWith('.toml') && !entry.isDirectory()) files.push(path);
      else if (isDeep && entry.isDirectory() && isShared(entry.name)) await look(path, false);
    }
  };
  await look(real, true);
  return files;
}

function pathsIn(text: string): string[] {
  if (!text.includes('..') || text.length > MAX_BYTES) return [];
  try {
    return strings(parseToml(text)).filter((path) => GOES_UP.test(path) && !/^[/~]/.test(path));
  } catch {
    // Codex will say what is wrong with the file.
    return [];
  }
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [];
}
