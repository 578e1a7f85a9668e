import { readdirSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import {
  checkAgent,
  checkDeployed,
  configOf,
  type Deployed,
  flagsOf,
  read,
} from '../helpers/deployed.ts';
import { readImage } from '../helpers/dockerfile.ts';

interface Service {
  command: string[];
  environment: Record<string, string>;
  secrets: string[];
  volumes: string[];
  networks: string[];
  ports?: string[];
  entrypoint?: string[];
  tmpfs: string[];
  healthcheck: { test: string[] };
  stop_grace_period: string;
  user: string;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  ulimits: { core: number };
  build: string;
}

const file = parse(read('deploy/compose.yaml')) as {
  services: Record<'sidecar' | 'agent', Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, object>;
  secrets: Record<string, { file: string }>;
};
const { sidecar, agent } = file.services;
const image = readImage('Dockerfile');

const deployed: Deployed = {
  args: sidecar.command,
  env: sidecar.environment,
  config: {},
  mounts: sidecar.secrets.map((name) => `/run/secrets/${name}`),
  graceSeconds: Number(/^(\d+)s$/.exec(sidecar.stop_grace_period)?.[1]),
};

checkDeployed(t, deployed);
checkAgent(t, { codex: read('deploy/agent/codex.toml'), env: agentVariables() }, deployed);

/** Those of the file, and those that the entrypoint takes from a secret. */
function agentVariables(): string[] {
  const exported = agent.entrypoint?.join('\n').match(/(?<=export )\w+/g) ?? [];
  return [...Object.keys(agent.environment), ...exported];
}

t.test('it is built from the Dockerfile of the project', async (t) => {
  t.equal(sidecar.build, '..');
});

t.test('nothing in it is left out in silence by an older composer', async (t) => {
  const text = read('deploy/compose.yaml');
  for (const key of ['configs:', 'dockerfile_inline:', 'develop:', 'include:']) {
    t.notOk(text.includes(`  ${key}`) || text.startsWith(key), key);
  }
});

t.test('agents may call the sidecar by the name of its service', async (t) => {
  const { clients } = await configOf(t, deployed);
  t.strictSame(clients.allowedHosts, ['sidecar']);
});

t.test(
  'the agent is built from a folder without a secret, and reads its configuration',
  async (t) => {
    t.equal(agent.build, './agent');
    t.strictSame(readdirSync('deploy/agent').sort(), ['Dockerfile', 'codex.toml']);
    t.ok(agent.volumes.includes('./agent/codex.toml:/etc/codex/config.toml:ro'));
  },
);

t.test('the login is in a volume, at the folder that the image names', async (t) => {
  const [name = '', folder] = sidecar.volumes[0]?.split(':') ?? [];
  t.ok(name in file.volumes);
  t.equal(folder, image.env.CODEX_HOME);
});

t.test('the health check is that of the image', async (t) => {
  t.strictSame(sidecar.healthcheck.test, ['CMD', ...image.healthcheck]);
  await flagsOf(t, 'healthcheck');
});

t.test('the agent has no network but the one of the sidecar, which leads nowhere', async (t) => {
  t.equal(agent.networks.length, 1);
  for (const name of agent.networks) {
    t.strictSame(file.networks[name], { internal: true });
    t.ok(sidecar.networks.includes(name));
  }
  const outside = sidecar.networks.filter((name) => !agent.networks.includes(name));
  t.equal(outside.length, 1, 'the sidecar has one network more');
  for (const name of outside) t.strictSame(file.networks[name], {});
  for (const service of [sidecar, agent]) t.equal(service.ports, undefined);
});

t.test('the agent gets nothing of the sidecar but the client token', async (t) => {
  t.strictSame(agent.secrets, ['client-token']);
  t.notOk(sidecar.secrets.includes('client-token'));
  const shared = agent.volumes.filter((volume) => sidecar.volumes.includes(volume));
  t.strictSame(shared, []);
  for (const volume of agent.volumes) {
    t.match(volume, /^(\$\{WORKSPACE:-\.\/workspace\}:|\.\/agent\/codex\.toml:.*:ro$)/);
  }
  t.match(agent.entrypoint?.join(' '), /\$\$\(cat \/run\/secrets\/client-token\)/);
});

t.test('no proxy that Docker hands in stands between them', async (t) => {
  t.equal(agent.environment.NO_PROXY, 'sidecar');
});

t.test('both are locked down', async (t) => {
  for (const service of [sidecar, agent]) {
    t.match(service.user, /^[1-9]\d*:[1-9]\d*$/);
    t.equal(service.read_only, true);
    t.strictSame(service.cap_drop, ['ALL']);
    t.strictSame(service.security_opt, ['no-new-privileges:true']);
    t.ok(service.tmpfs.some((mount) => mount.startsWith('/tmp')));
  }
  t.equal(sidecar.user, image.user);
  t.equal(sidecar.ulimits.core, 0);
});

t.test('a token can stand in for a login: the lines for it fit each other', async (t) => {
  const text = read('deploy/compose.yaml').replaceAll(/# (?=.*access-token)/g, '');
  const changed = parse(text) as typeof file;
  const { environment, secrets } = changed.services.sidecar;
  t.equal(environment.CODEX_ACCESS_TOKEN_FILE, '/run/secrets/access-token');
  t.ok(secrets.includes('access-token'));
  t.strictSame(changed.secrets['access-token'], { file: './secrets/access-token' });
});
