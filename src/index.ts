import { createLogger } from './base/logger.ts';
import type { Config } from './config/config.generated.ts';
import type { PartialConfig } from './config/resolve.ts';
import { readSettings } from './sidecar/settings.ts';
import { launchSidecar } from './sidecar/start.ts';

export { ConfigError } from './base/errors.ts';

/** The configuration as a file may hold it: every key is optional and has a default. */
export type SidecarConfig = Settable<Config>;

type Settable<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [Key in keyof T]?: Settable<T[Key]> }
    : T;

export interface SidecarOptions {
  /** Wins over `env`, as flags do on the command line. */
  config?: SidecarConfig;
  /**
   * Variables to read settings and credentials from, for instance `process.env`. The environment
   * of this process is not read unless you pass it here.
   */
  env?: Readonly<Record<string, string | undefined>>;
  /** Gets the log, one JSON line a call; default: standard error. */
  log?: { write(line: string): void };
  /** Listen beyond loopback without client tokens. */
  allowUnauthenticated?: boolean;
}

/** A sidecar that listens. */
export interface Sidecar {
  /** TCP port; null on a Unix socket. */
  readonly port: number | null;
  /** Path of the Unix socket; null on TCP. */
  readonly socket: string | null;
  /** Origin without a path, for instance `http://127.0.0.1:8787`; null on a Unix socket. */
  readonly url: string | null;
  /** The same of the operator's own listener (`admin.listen`); null where there is none. */
  readonly admin: Pick<Sidecar, 'port' | 'socket' | 'url'> | null;
  /**
   * Reads the files that the configuration names, and the credential, again.
   * @returns sections of the configuration that differ and need a restart
   * @throws Error with a `code` of docs/errors.md when they cannot be used; the old ones stay
   */
  reload(): Promise<string[]>;
  /** Waits up to `limits.drainSeconds` for open exchanges, then closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a sidecar in this process. It handles no signals and never ends the process.
 * @returns once it listens; whether it can authenticate is what `GET /readyz` answers
 * @throws ConfigError when the configuration is wrong or would expose the account
 * @throws Error when the address cannot be used
 */
export async function startSidecar(options: SidecarOptions = {}): Promise<Sidecar> {
  const env = { ...options.env };
  const layer = (options.config ?? {}) as PartialConfig;
  const read = () => readSettings(env, null, layer);
  const settings = await read();
  const log = createLogger({
    ...settings.config.log,
    destination: options.log ?? process.stderr,
  });
  const allow = options.allowUnauthenticated ?? false;
  const sidecar = await launchSidecar(settings, log, allow, read);
  const { address, adminAddress: admin, reload, stop } = sidecar;
  return { ...address, admin, reload, stop };
}
