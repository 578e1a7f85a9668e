import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

// Not a dependency: only a machine without a browser needs these 66 MB. To take another version,
// change both; `npm view @sparticuz/chromium@VERSION dist.integrity` prints the second.
const VERSION = '153.0.0';
const INTEGRITY =
  'sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==';

const FETCHED = resolve('.cache', `chromium-${VERSION}`);

export interface Chromium {
  executablePath: string;
  /** What its process needs beside the environment of this one. */
  env: Record<string, string>;
}

/** A browser of the system, or the one that {@link fetchChromium} has put into the cache. */
export function findChromium(): Chromium | null {
  const executablePath = process.env.CHROMIUM_PATH ?? PLACES.find((path) => existsSync(path));
  if (executablePath !== undefined) return { executablePath, env: {} };
  if (!existsSync(FETCHED)) return null;
  // It brings the shared libraries and the fonts that a machine without a desktop does not have.
  const env = {
    LD_LIBRARY_PATH: join(FETCHED, 'lib'),
    FONTCONFIG_FILE: join(FETCHED, 'own-fonts.conf'),
  };
  return { executablePath: join(FETCHED, 'chromium'), env };
}

/** Gets a browser from npm when there is none, whole or not at all. */
export function fetchChromium(): void {
  if (findChromium() !== null) return;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('no Chromium found, and npm has none for this machine: set CHROMIUM_PATH');
  }
  process.stderr.write(`no Chromium found: getting @sparticuz/chromium ${VERSION} from npm\n`);
  const cache = resolve('.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'chromium-new-'));
  try {
    unpack(download(folder), folder);
    renameSync(join(folder, 'browser'), FETCHED);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Gives the path of the archive. Throws when it is not the one that this file names. */
function download(folder: string): string {
  const options = ['--silent', '--ignore-scripts', `--pack-destination=${folder}`];
  const command = ['pack', `@sparticuz/chromium@${VERSION}`, ...options];
  const name = execFileSync('npm', command, { encoding: 'utf8' }).trim();
  const archive = join(folder, name);
  const digest = createHash('sha512').update(readFileSync(archive)).digest('base64');
  if (`sha512-${digest}` !== INTEGRITY) {
    throw new Error(`@sparticuz/chromium ${VERSION} has another content than expected: ${digest}`);
  }
  return archive;
}

function unpack(archive: string, folder: string): void {
  const untar = (path: string, into: string) =>
    execFileSync('tar', ['-xf', path, '--no-same-owner', '-C', into]);
  untar(archive, folder);
  const browser = join(folder, 'browser');
  mkdirSync(browser);
  const parts = join(folder, 'package/bin');
  const inflate = (name: string, to: string) =>
    writeFileSync(to, brotliDecompressSync(readFileSync(join(parts, name))), { mode: 0o755 });
  inflate('chromium.br', join(browser, 'chromium'));
  for (const name of ['al2023.tar', 'fonts.tar', 'swiftshader.tar']) {
    const path = join(folder, name);
    inflate(`${name}.br`, path);
    untar(path, browser);
  }
  // The one that it brings names a folder of AWS Lambda. Without a font text has no height.
  const fonts = `<fontconfig><dir prefix="relative">fonts</dir></fontconfig>\n`;
  writeFileSync(join(browser, 'own-fonts.conf'), fonts);
}
