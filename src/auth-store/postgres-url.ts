import { ConfigError } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';
import { Secret } from '../base/secret.ts';

/** One server of the database, and how to sign in there. */
export interface PostgresServer {
  /** A host name, an address, or the folder of a Unix socket. */
  host: string;
  port: number;
  user: string;
  password: Secret | null;
  database: string;
}

const SOURCE = 'SIDECAR_STORE_URL_FILE';
const FORM = 'postgres://user:password@host:5432/database';

/**
 * @param text one URL a line; the first primary among them counts
 * @throws ConfigError, which shows nothing of the text
 */
export function parseServers(text: string): [PostgresServer, ...PostgresServer[]] {
  const lines = text.split('\n').map((line) => line.trim());
  const [first, ...others] = lines.filter((line) => line !== '').map(parseServer);
  if (!first) throw new ConfigError(`${SOURCE}: the file is empty; write ${FORM} into it`);
  return [first, ...others];
}

/** Where it is, in a message: without a user. */
export function placeOf({ host, port, database }: PostgresServer): string {
  return host.startsWith('/') ? `${host}/${database}` : `${host}:${port}/${database}`;
}

/** Whether a connection never leaves this machine, so that it needs no TLS. */
export function isLocal({ host }: PostgresServer): boolean {
  return host.startsWith('/') || isLoopbackHost(host);
}

function parseServer(line: string, index: number): PostgresServer {
  const wrong = (problem: string) =>
    new ConfigError(`${SOURCE}: line ${index + 1} ${problem}; write ${FORM}`);
  const url = URL.canParse(line) ? new URL(line) : null;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw wrong('is not a postgres URL');
  if (url.search || url.hash) {
    throw wrong('has parameters, which are not taken (TLS is on for every host but loopback)');
  }
  const decode = (value: string): string => {
    try {
      return decodeURIComponent(value);
    } catch {
      throw wrong('has a percent sign that is not an escape');
    }
  };
  const host = decode(url.hostname).replace(/^\[|\]$/g, '');
  const user = decode(url.username);
  const database = decode(url.pathname.replace(/^\//, ''));
  if (host === '') throw wrong('names no host');
  if (user === '') throw wrong('names no user');
  if (database === '' || database.includes('/')) throw wrong('names no database');
  const password = url.password === '' ? null : new Secret(decode(url.password));
  return { host, port: url.port === '' ? 5432 : Number(url.port), user, password, database };
}
