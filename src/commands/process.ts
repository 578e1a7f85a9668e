import { setFlagsFromString } from 'node:v8';
import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { OwnEnvironment } from '../config/environment.ts';
import { decodeText } from '../files/read-text.ts';

/** Variables that hold a credential themselves; their `*_FILE` variants hold paths. */
const CREDENTIALS = ['CODEX_API_KEY', 'CODEX_ACCESS_TOKEN', 'CODEX_AGENT_IDENTITY'];
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/**
 * Makes the process reveal less. The title replaces the arguments in `ps` and `/proc/PID/cmdline`.
 * Without a listener, SIGUSR1 would open the inspector, which gives every secret to anyone who
 * reaches its port (measured on Node 20.20.2).
 */
export function hardenProcess(): void {
  process.title = 'codex-auth-sidecar';
  process.on('SIGUSR1', () => undefined);
}

/**
 * What the system sends to a process that has failed. Nobody listens for them: a listener would let the
 * process go on at the instruction that failed, again and again and without an end (seen when Node.js
 * 20 fails at its exit because its terminal is gone).
 */
export const CRASHES = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const;

/**
 * Copies the environment, for settings that are read now and at a reload. Credentials, and proxies
 * with a password, are removed from the original, so that child processes and diagnostic reports do
 * not contain them. The kernel's copy in `/proc/PID/environ` stays as it was.
 */
export function takeEnvironment(env: Record<string, string | undefined>): OwnEnvironment {
  const own: OwnEnvironment = { ...env };
  for (const name of CREDENTIALS) {
    const value = env[name];
    if (value !== undefined) own[name] = new Secret(value);
    delete env[name];
  }
  // The client of PostgreSQL would take from them what the URL of the store leaves out.
  for (const name of Object.keys(env)) if (/^PG[A-Z]+$/.test(name)) delete env[name];
  for (const name of PROXIES) if (env[name]?.includes('@')) delete env[name];
  return own;
}

/**
 * Sets V8's collector for a proxy, in which nearly everything is garbage a moment later. Both rules are
 * for the whole process, so the program sets them and the library does not.
 *
 * V8 shrinks the heap of a process that was idle for eight seconds, and then keeps the limit close to
 * that size. Under load it would mark the whole heap several times a second and use a quarter of the
 * processor time (measured on Node 20.20.2). With the first rule the heap may grow to three times its
 * live size between two full collections. An idle process still returns its memory.
 *
 * When the objects that one place in the code makes have lived through one small collection, V8 makes
 * the later ones in the old part of the heap at once. It judges that from a moment, e.g. the first
 * seconds of a load, and the old part then keeps whatever those objects refer to, which is each whole
 * request, until a full collection. Whether it happened to a process was chance; where it did, a request
 * cost a third more processor time (measured: half of the starts on Node 20.20.2). The second rule
 * switches that off.
 */
export function tuneHeap(): void {
  setFlagsFromString('--heap-growing-percent=200');
  setFlagsFromString('--no-allocation-site-pretenuring');
}

const MAX_INPUT_BYTES = 1024 * 1024;

/**
 * Reads all of standard input as text. Its buffers are overwritten afterwards; the text itself cannot
 * be, so callers must not copy it.
 * @throws ConfigError when it is longer than 1 MiB, or not text
 */
export async function readAllText(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    size += chunk.length;
    if (size > MAX_INPUT_BYTES) throw new ConfigError('standard input holds more than 1 MiB');
    chunks.push(chunk);
  }
  const whole = Buffer.concat(chunks);
  try {
    return decodeText(whole);
  } catch (error) {
    throw new ConfigError(`standard input: ${(error as Error).message}`);
  } finally {
    for (const buffer of [whole, ...chunks]) buffer.fill(0);
  }
}
