import { createHash, randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { wholeSeconds } from '../../base/clock.ts';
import { ConfigError, errnoOf } from '../../base/errors.ts';
import { type ClientToken, parseClientTokens } from '../../clients/client-tokens.ts';
import { formatLimits } from '../../clients/limits.ts';
import { withLockIfPossible } from '../../files/lock.ts';
import { giveToOwnerOfFolder } from '../../files/ownership.ts';
import { ReadError, readTextFile } from '../../files/read-text.ts';
import { replaceFile } from '../../files/replace-file.ts';

/** Lets people and secret scanners recognise a token. */
const PREFIX = 'sidecar_';
const TOKEN_BYTES = 32;
const LOCK_WAIT_SECONDS = 30;

/** A file of client tokens to edit. */
export interface TokensFileOptions {
  path: string;
  /** Called with one line when the file cannot be locked. */
  warn: (line: string) => void;
}

/**
 * Makes a client token and appends its digest.
 * @returns the token, which is stored nowhere
 */
export function addToken(file: TokensFileOptions, token: ClientToken): Promise<string> {
  return locked(file, async () => {
    const text = await readText(file.path, '');
    if (parseClientTokens(text).list.some(({ name }) => name === token.name)) {
      throw new Error(`${file.path} already has a token named ${token.name}; remove it first`);
    }
    const value = PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
    const line = `${formatLine(token, createHash('sha256').update(value).digest('hex'))}\n`;
    await append(file.path, text === '' || text.endsWith('\n') ? line : `\n${line}`);
    return value;
  });
}

/** Changes what a token may do; the other lines, the mode and the owner of the file stay. */
export function setToken(
  file: TokensFileOptions,
  name: string,
  change: (before: ClientToken) => ClientToken,
): Promise<void> {
  return locked(file, async () => {
    const text = await readText(file.path, null);
    const before = parseClientTokens(text).list.find((token) => token.name === name);
    if (!before) throw new Error(`${file.path} has no token named ${name}`);
    const lines = text.split('\n').map((line) => {
      const [found, digest = ''] = line.trim().split(/[ \t]/)[0]?.split(':') ?? [];
      return found === name ? formatLine(change(before), digest) : line;
    });
    await replaceFile(file.path, lines.join('\n'), await stat(file.path));
  });
}

/** One line per token, without its digest. @param now milliseconds since 1970 */
export async function listTokens(path: string, now: number): Promise<string[]> {
  const { list } = parseClientTokens(await readText(path, null));
  const width = Math.max(...list.map(({ name }) => name.length));
  return list.map((token) => {
    const { name, expiresAt, purpose, routes } = token;
    const paths = [purpose === null ? null : `for ${purpose}`, routes?.join(',')].filter(Boolean);
    const reach = paths.length === 0 ? 'all routes' : paths.join(', and ');
    const limits = formatLimits(token.limits).map((limit) => `  ${limit}`);
    return `${name.padEnd(width)}  ${describeExpiry(expiresAt, now)}  ${reach}${limits.join('')}`;
  });
}

/** Removes a token from the file; the other lines, the mode and the owner stay as they are. */
export function removeToken(file: TokensFileOptions, name: string): Promise<void> {
  return locked(file, async () => {
    const text = await readText(file.path, null);
    parseClientTokens(text);
    const lines = text.split('\n');
    const kept = lines.filter((line) => line.trim().split(':')[0] !== name);
    if (kept.length === lines.length) throw new Error(`${file.path} has no token named ${name}`);
    await replaceFile(file.path, kept.join('\n'), await stat(file.path));
  });
}

function formatLine(token: ClientToken, digest: string): string {
  const { name, expiresAt, purpose, routes } = token;
  const limits = [
    expiresAt === null ? null : `expires=${wholeSeconds(expiresAt)}`,
    purpose === null ? null : `for=${purpose}`,
    routes === null ? null : `routes=${routes.join(',')}`,
    ...formatLimits(token.limits),
  ];
  return [`${name}:${digest}`, ...limits].filter((part) => part !== null).join(' ');
}

function describeExpiry(expiresAt: number | null, now: number): string {
  if (expiresAt === null) return 'never expires'.padEnd(28);
  return `${expiresAt <= now ? 'expired' : 'expires'} ${wholeSeconds(expiresAt)}`.padEnd(28);
}

function locked<T>({ path, warn }: TokensFileOptions, work: () => Promise<T>): Promise<T> {
  return withLockIfPossible(`${path}.lock`, LOCK_WAIT_SECONDS, work, ({ message }) => {
    warn(`${message}; ${path} is changed without a lock`);
  });
}

async function readText(path: string, absent: string | null): Promise<string> {
  try {
    return await readTextFile(path);
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    if (error.code === 'ENOENT' && absent !== null) return absent;
    throw new ConfigError(`cannot read the tokens file ${path} (${error.message})`);
  }
}

/** Appends in one write, so that no line is lost when another program appends without the lock. */
async function append(path: string, text: string): Promise<void> {
  try {
    const handle = await open(path, 'a', 0o600);
    try {
      const isNew = (await handle.stat()).size === 0;
      if (isNew) await giveToOwnerOfFolder(path, handle);
      await handle.write(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new Error(`cannot write the tokens file ${path} (${errnoOf(error)})`);
  }
}
