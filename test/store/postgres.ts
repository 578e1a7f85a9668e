import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PostgresLink } from '../../src/auth-store/postgres-link.ts';
import { CREATE_SQL } from '../../src/auth-store/postgres-schema.ts';
import { type PostgresServer, parseServers } from '../../src/auth-store/postgres-url.ts';
import type { TestScope } from '../helpers/program.ts';

const run = promisify(execFile);
const SETTINGS = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 16MB
`;

/** The folder of PostgreSQL's programs as Debian has them; null where they are not installed. */
export function postgresPrograms(): string | null {
  const root = '/usr/lib/postgresql';
  const releases = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .sort((a, b) => b - a)
    : [];
  const folders = releases.map((release) => join(root, String(release), 'bin'));
  return folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? null;
}

/** For tests that need a real database: left out, by name, where there is none to start. */
export const WITH_POSTGRES = postgresPrograms() === null ? { skip: 'there is no initdb' } : {};

/** Runs a program as the user `postgres` when we are root, which PostgreSQL refuses to be run by. */
export function asPostgres(file: string, args: readonly string[]): [string, string[]] {
  if (userInfo().uid !== 0) return [file, [...args]];
  return ['runuser', ['-u', 'postgres', '--', file, ...args]];
}

/** A server of its own, which is gone with the test. */
export class Postgres {
  readonly port: number;
  readonly folder: string;
  readonly #bin: string;

  private constructor(bin: string, folder: string, port: number) {
    this.#bin = bin;
    this.folder = folder;
    this.port = port;
  }

  /** Makes a cluster with the table, and starts it. */
  static async start(t: TestScope): Promise<Postgres> {
    const postgres = await Postgres.make(t);
    const auth = ['--auth=trust', '--username=postgres', '--no-sync', '--encoding=UTF8'];
    await postgres.program('initdb', [...auth, '--pgdata', postgres.data]);
    await postgres.configure(SETTINGS);
    await postgres.launch();
    await postgres.sql('CREATE DATABASE auth');
    await postgres.sql(CREATE_SQL);
    return postgres;
  }

  /**
   * A standby that follows a primary.
   * @param port of the primary, or of a proxy before it
   */
  static async standbyOf(t: TestScope, port: number): Promise<Postgres> {
    const standby = await Postgres.make(t);
    await standby.follow(port);
    return standby;
  }

  /** Begins anew as a standby, with what a primary has; for a server that does not run. */
  async follow(port: number): Promise<void> {
    await rm(this.data, { recursive: true, force: true });
    const from = ['--host=127.0.0.1', `--port=${port}`, '--username=postgres', '--no-sync'];
    const to = ['--write-recovery-conf', '--checkpoint=fast', '--pgdata', this.data];
    await this.program('pg_basebackup', [...from, ...to]);
    // Alone, once it is the primary.
    await this.configure("synchronous_standby_names = ''\n");
    await this.launch();
  }

  /** Makes a standby the primary. */
  async promote(): Promise<void> {
    await this.program('pg_ctl', ['-D', this.data, '-w', '-s', 'promote']);
  }

  /** An empty folder for a cluster, which is still to be filled and launched. */
  static async make(t: TestScope): Promise<Postgres> {
    const bin = postgresPrograms();
    if (bin === null) throw new Error('PostgreSQL is not installed');
    const folder = await mkdtemp(join(tmpdir(), 'sidecar-pg-'));
    const postgres = new Postgres(bin, folder, await freePort());
    t.teardown(async () => {
      await postgres.stop('immediate').catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    });
    if (userInfo().uid === 0) {
      const { stdout } = await run('id', ['-u', 'postgres']);
      await chown(folder, Number(stdout), -1);
    }
    return postgres;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  /** URL of the database, over another port where a proxy stands before it. */
  url(port = this.port, user = 'postgres'): string {
    return `postgres://${user}:secret@127.0.0.1:${port}/auth`;
  }

  async configure(lines: string): Promise<void> {
    await appendFile(join(this.data, 'postgresql.conf'), lines);
  }

  /** Writes a file into the folder of the data, for its owner alone. */
  async put(name: string, text: string): Promise<void> {
    const path = join(this.data, name);
    const { uid, gid } = await stat(this.data);
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
  }

  async launch(): Promise<void> {
    const options = `-p ${this.port}`;
    const log = join(this.folder, 'log');
    await this.program('pg_ctl', ['-D', this.data, '-w', '-s', '-l', log, '-o', options, 'start']);
  }

  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    await this.program('pg_ctl', ['-D', this.data, '-w', '-s', '-m', mode, 'stop']);
  }

  /** Runs statements as the owner. */
  async sql(text: string, database = text.startsWith('CREATE DATABASE') ? 'postgres' : 'auth') {
    const [server] = parseServers(this.url());
    const link = await PostgresLink.open({ ...server, database } as PostgresServer, null);
    try {
      return await link.query(text);
    } finally {
      link.destroy();
    }
  }

  /** Runs one of PostgreSQL's programs to its end. */
  async program(name: string, args: readonly string[]): Promise<void> {
    const [file, all] = asPostgres(join(this.#bin, name), args);
    const child = spawn(file, all, { stdio: 'ignore', cwd: '/' });
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${name} ended with ${code}`);
  }
}

/** PgBouncer in transaction mode before a server; its port. */
export async function startPooler(t: TestScope, postgres: Postgres): Promise<number> {
  const port = await freePort();
  const file = join(postgres.folder, 'pgbouncer.ini');
  const lines = [
    '[databases]',
    `auth = host=127.0.0.1 port=${postgres.port} dbname=auth user=postgres`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 2',
    'max_client_conn = 2000',
  ];
  await writeFile(file, lines.join('\n'));
  await chmod(file, 0o644);
  const [program, args] = asPostgres('/usr/sbin/pgbouncer', ['--quiet', file]);
  const child = spawn(program, args, { stdio: 'ignore', cwd: '/' });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await listening(port);
  return port;
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (up) return;
    // No event says when another program listens.
    await sleep(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
