import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import t, { type Test } from 'tap';
import { PostgresLink } from '../../src/auth-store/postgres-link.ts';
import { PostgresRegister } from '../../src/auth-store/postgres-register.ts';
import { parseServers } from '../../src/auth-store/postgres-url.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { makeFile, run } from '../helpers/program.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

/** A name of this machine that is not taken for loopback, so that TLS is used. */
const HOST = hostname();

function registerAt(t: Test, url: string, ca: string | null = null): PostgresRegister {
  const [first] = parseServers(url);
  const register = new PostgresRegister({
    name: 'default',
    first,
    servers: async () => [first],
    ca,
    monotonicNow: () => performance.now(),
  });
  t.teardown(() => register.close());
  return register;
}

async function startWithTls(t: Test, name: string) {
  const postgres = await Postgres.start(t);
  const { cert, key } = await makeCertificate(t, { name });
  for (const [file, text] of [
    ['server.crt', cert],
    ['server.key', key],
  ] as const) {
    await postgres.put(file, text);
  }
  await postgres.configure("ssl = on\nlisten_addresses = '*'\n");
  await postgres.put(
    'pg_hba.conf',
    'hostssl all all all scram-sha-256\nhost all all 127.0.0.1/32 trust\n',
  );
  await postgres.stop('fast');
  await postgres.launch();
  return { postgres, cert, url: `postgres://postgres:secret@${HOST}:${postgres.port}/auth` };
}

t.test('T13: over TLS, with full verification', WITH_POSTGRES, async (t) => {
  const { postgres, cert, url } = await startWithTls(t, `DNS:${HOST}`);
  await postgres.sql("ALTER ROLE postgres PASSWORD 'secret'");
  t.equal(await registerAt(t, url, cert).read(null), null);
  const [server] = parseServers(url);
  const link = await PostgresLink.open(server, cert);
  t.equal(link.certificateEnd, Date.UTC(2120, 0, 1));
  link.destroy();
  const plain = await PostgresLink.open({ ...server, host: '127.0.0.1' }, null);
  t.equal(plain.certificateEnd, null);
  plain.destroy();
  await t.rejects(registerAt(t, url).read(null), {
    code: 'AUTH_STORE_UNAVAILABLE',
    message: /the certificate of the database is not trusted .*; set store\.caFile/,
  });
});

t.test('T13: a certificate for another name is refused', WITH_POSTGRES, async (t) => {
  const { cert, url } = await startWithTls(t, 'DNS:other.example');
  await t.rejects(registerAt(t, url, cert).read(null), {
    message: /is not for .*; put the name it is for into SIDECAR_STORE_URL_FILE/,
  });
});

t.test('T13: a server without TLS gets nothing in clear', async (t) => {
  const received: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => {
      received.push(chunk);
      // "N": no TLS here.
      socket.write('N');
    });
    socket.on('error', () => undefined);
  });
  server.listen(0);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const register = registerAt(t, `postgres://user:hush@${HOST}:${port}/auth`);
  await t.rejects(register.read(null), { message: /offers no TLS, and nothing is sent in clear/ });
  t.equal(Buffer.concat(received).toString('hex'), '0000000804d2162f', 'the request for TLS alone');
});

const WRONG: [what: string, path: (postgres: Postgres) => string, message: RegExp][] = [
  [
    'database',
    (postgres) => `postgres:p@127.0.0.1:${postgres.port}/none`,
    /no database none; make it/,
  ],
  [
    'user',
    (postgres) => `nobody:p@127.0.0.1:${postgres.port}/auth`,
    /refused the user in SIDECAR_/,
  ],
  ['port', () => 'postgres:p@127.0.0.1:1/auth', /cannot be reached \(ECONNREFUSED\)/],
];
t.test('T13: what is wrong with the URL is said in one line', WITH_POSTGRES, async (t) => {
  const postgres = await Postgres.start(t);
  for (const [what, path, message] of WRONG) {
    const register = registerAt(t, `postgres://${path(postgres)}`);
    await t.rejects(register.read(null), { message }, what);
  }
});

t.test('T13: a password that was changed is read again', WITH_POSTGRES, async (t) => {
  const postgres = await Postgres.start(t);
  await postgres.sql("CREATE ROLE sidecar LOGIN PASSWORD 'old'");
  await postgres.sql('GRANT USAGE ON SCHEMA codex_auth_sidecar TO sidecar');
  await postgres.sql('GRANT SELECT ON codex_auth_sidecar.login TO sidecar');
  await postgres.put('pg_hba.conf', 'host all sidecar all scram-sha-256\nhost all all all trust\n');
  await postgres.stop('fast');
  await postgres.launch();
  let password = 'wrong';
  let now = 0;
  const servers = async () =>
    parseServers(`postgres://sidecar:${password}@127.0.0.1:${postgres.port}/auth`);
  const register = new PostgresRegister({
    name: 'default',
    servers,
    first: (await servers())[0],
    ca: null,
    monotonicNow: () => now,
  });
  t.teardown(() => register.close());
  const refused = { message: /refused the password in SIDECAR_STORE_URL_FILE; put the right one/ };
  await t.rejects(register.read(null), refused);
  password = 'old';
  await t.rejects(register.read(null), refused, 'not faster than every ten seconds');
  now += 10_000;
  t.equal(await register.read(null), null);
});

t.test('T13: variables of other programs set nothing', WITH_POSTGRES, async (t) => {
  const postgres = await Postgres.start(t);
  const key = await makeFile(t, 'key.json', (await run(t, ['store', 'key'])).stdout);
  await chmod(key, 0o600);
  const env = {
    SIDECAR_STORE: 'postgres',
    SIDECAR_STORE_KEY_FILE: key,
    SIDECAR_STORE_URL_FILE: await makeFile(t, 'url', postgres.url()),
    PGOPTIONS: '-c search_path=elsewhere -c default_transaction_read_only=on',
    PGHOST: '127.0.0.2',
    PGPASSWORD: 'hush',
    PGSSLMODE: 'require',
  };
  t.match(await run(t, ['login', '--with-api-key'], env, { input: 'sk-test' }), {
    code: 0,
    stdout: /^stored in 127\.0\.0\.1/,
  });
});
