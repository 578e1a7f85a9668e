import t from 'tap';
import { parse } from 'yaml';
import { parseServers } from '../../src/auth-store/postgres-url.ts';
import { checkDeployed, configOf, type Deployed, flagsOf, read } from '../helpers/deployed.ts';
import { readImage } from '../helpers/dockerfile.ts';

interface Service {
  command?: string[];
  build?: string;
  image: string;
  user?: string;
  hostname?: string;
  environment: Record<string, string>;
  configs?: { source: string; target: string }[];
  secrets?: string[];
  volumes?: string[];
  networks?: string[] | Record<string, { aliases?: string[] }>;
  network_mode?: string;
  ports?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  healthcheck: { test?: string[]; disable?: boolean };
  stop_grace_period?: string;
  depends_on?: Record<string, { condition: string }>;
}

const file = parse(read('deploy/fleet/compose.yaml'), { merge: true }) as {
  services: Record<'database' | 'prepare' | 'sidecar-1' | 'sidecar-2' | 'proxy', Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, object>;
  secrets: Record<string, { file: string }>;
  configs: Record<string, { content?: string; file?: string }>;
};
const { database, prepare, proxy, 'sidecar-1': first, 'sidecar-2': second } = file.services;
const nginx = read('deploy/fleet/nginx.conf');
const image = readImage('Dockerfile');

const deployed: Deployed = {
  args: first.command ?? [],
  env: first.environment,
  config: JSON.parse(file.configs.sidecar?.content ?? ''),
  mounts: [
    ...(first.configs ?? []).map(({ target }) => target),
    ...(first.secrets ?? []).map((name) => `/run/secrets/${name}`),
  ],
  graceSeconds: Number(/^(\d+)s$/.exec(first.stop_grace_period ?? '')?.[1]),
};

checkDeployed(t, deployed);

t.test('two sidecars that differ in their names only', async (t) => {
  const { hostname, ...one } = first;
  const { hostname: other, ...two } = second;
  t.strictSame(one, two);
  t.not(hostname, other);
  t.equal(one.build, '../..');
  t.equal(one.user, image.user);
  t.strictSame(one.healthcheck.test, ['CMD', ...image.healthcheck]);
  await flagsOf(t, 'healthcheck');
});

t.test('they share the login in the database, which is on no network', async (t) => {
  const { store } = await configOf(t, deployed);
  t.equal(store.kind, 'postgres');
  t.equal(database.network_mode, 'none');
  t.strictSame(database.command?.slice(-1), ['listen_addresses=']);
  const socket = (service: Service) => service.volumes?.find((one) => one.startsWith('socket:'));
  t.equal(socket(database), 'socket:/var/run/postgresql');
  for (const service of [first, second, prepare]) {
    t.equal(socket(service), 'socket:/run/postgresql');
  }
  // As the comment beside it, and README.md, have it.
  const url = /# (postgres:\S+)/.exec(read('deploy/fleet/compose.yaml'))?.[1] ?? '';
  const [server] = parseServers(url);
  t.match(server, { host: '/run/postgresql', database: database.environment.POSTGRES_DB });
  t.equal(server.user, database.environment.POSTGRES_USER);
  t.ok(read('deploy/README.md').includes('postgres://sidecar:%s@%%2Frun%%2Fpostgresql/auth'));
});

t.test('the table is made first', async (t) => {
  const [command = '', sub = ''] = prepare.command ?? [];
  const flags = await flagsOf(t, command);
  t.ok(flags.length > 0);
  t.equal(sub, 'init');
  t.equal(prepare.depends_on?.database?.condition, 'service_healthy');
  const done = { prepare: { condition: 'service_completed_successfully' } };
  for (const service of [first, second]) t.strictSame(service.depends_on, done);
});

t.test('the proxy leads to both, by the port that they listen on', async (t) => {
  const { listen, clients } = await configOf(t, deployed);
  const servers = [...nginx.matchAll(/^ *server (\S+?):(\d+) /gm)];
  t.strictSame(
    servers.map(([, name, port]) => [name, Number(port)]),
    [first, second].map(({ hostname }) => [hostname, listen.port]),
  );
  t.equal(file.configs.proxy?.file, './nginx.conf');
  const networks = proxy.networks as Record<string, { aliases?: string[] }>;
  t.strictSame(networks.agents?.aliases, clients.allowedHosts);
  t.match(nginx, `listen ${listen.port};`, 'agents call the same port');
});

t.test('nobody leaves but the sidecars, and nobody comes in', async (t) => {
  const outside = Object.keys(file.networks).filter((name) => !file.networks[name]?.internal);
  t.strictSame(outside, ['upstream']);
  for (const service of [first, second]) t.strictSame(service.networks, ['sidecars', 'upstream']);
  t.strictSame(Object.keys(proxy.networks ?? {}).sort(), ['agents', 'sidecars']);
  for (const service of Object.values(file.services)) t.equal(service.ports, undefined);
});

t.test('what faces clients is locked down', async (t) => {
  for (const service of [first, second, proxy]) {
    t.match(service.user, /^[1-9]\d*:[1-9]\d*$/);
    t.equal(service.read_only, true);
    t.strictSame(service.cap_drop, ['ALL']);
    t.strictSame(service.security_opt, ['no-new-privileges:true']);
  }
  t.notOk(proxy.secrets, 'the proxy holds no secret');
});
