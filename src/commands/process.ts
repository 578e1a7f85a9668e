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
 * Makes the process show less of itself. The title takes the place of the arguments in `ps` and
 * `/proc/PID/cmdline`. Without a listener SIGUSR1 opens the inspector, which hands every secret to
 * whoever reaches its port (measured on Node 20.20.2).
 */
export function hardenProcess(): void {
  process.title = 'codex-auth-sidecar';
  process.on('SIGUSR1', () => undefined);
}

/**
 * A copy of the environment to read settings from, now and at a reload. Credentials, and proxies
 * with a password, are taken out of the original, so that no child process and no diagnostic report
 * gets them. The kernel's copy in `/proc/PID/environ` stays as it was.
 */
export function takeEnvironment(env: Record<string, string | undefined>): OwnEnvironment {
  const own: OwnEnvironment = { ...env };
  for (const name of CREDENTIALS) {
    const value = env[name];
    if (value !== undefined) own[name] = new Secret(value);
    delete env[name];
  }
  for (const name of PROXIES) if (env[name]?.includes('@')) delete env[name];
  return own;
}

/**
 * Lets the heap grow to three times what lives in it between two full collections. V8 shrinks the
 * heap of a process that was idle for eight seconds, and from then on keeps the limit close to it;
 * a proxy, where each body is garbage a moment later, then marks the whole heap several times a
 * second under load, for a quarter of its processor time (measured on Node 20.20.2). What an idle
 * process holds is given back all the same.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=200');
}

const MAX_INPUT_BYTES = 1024 * 1024;

/**
 * All of standard input as text. The buffers that it came in are overwritten; the text itself
 * cannot be, so it goes into what it is for and nowhere else.
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
