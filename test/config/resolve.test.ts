import { readFileSync } from 'node:fs';
import t from 'tap';
import { environmentLayer } from '../../src/config/environment.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';

const example = () => JSON.parse(readFileSync('config.example.json', 'utf8')) as PartialConfig;

t.test('the example is valid and holds every default', async (t) => {
  t.strictSame(resolveConfig(example()), resolveConfig());
  t.strictSame(example(), resolveConfig());
});

t.test('listens on loopback and trusts nobody else by default', async (t) => {
  const { listen, clients, agentIdentity } = resolveConfig();
  t.strictSame(listen, {
    host: '127.0.0.1',
    port: 8787,
    socket: null,
    socketMode: '0600',
    tls: { certFile: null, keyFile: null, clientCaFile: null, clientNames: [] },
  });
  t.strictSame(clients, { tokensFile: null, allowedHosts: [], allowedOrigins: [] });
  t.equal(agentIdentity.policy, 'jwtOnly');
  t.equal(agentIdentity.onUnavailable, 'error');
});

t.test('defaults give way to the file, the file to the environment, that to flags', async (t) => {
  const file = { listen: { host: 'file', port: 1, socket: '/file' }, log: { level: 'warn' } };
  const environment = environmentLayer({ SIDECAR_HOST: 'env', SIDECAR_PORT: '2' });
  const config = resolveConfig(file, environment, { listen: { host: 'flag' } });
  t.match(config.listen, { host: 'flag', port: 2, socket: '/file', socketMode: '0600' });
  t.equal(config.log.level, 'warn');
});

t.test('a later layer can set a value back to null, and replaces a list as a whole', async (t) => {
  const file = { listen: { socket: '/file' }, clients: { allowedHosts: ['a', 'b'] } };
  const config = resolveConfig(file, { listen: { socket: null }, clients: { allowedHosts: [] } });
  t.equal(config.listen.socket, null);
  t.strictSame(config.clients.allowedHosts, []);
});

t.test('is frozen to the last leaf, and leaves its layers alone', async (t) => {
  const routes = [{ methods: ['GET'], path: '/backend-api/x', auth: 'none' }];
  const layer = { routes, clients: { allowedHosts: ['a'] } };
  const config = resolveConfig(layer);
  const parts = [config, config.clients, config.clients.allowedHosts, config.routes?.[0]?.methods];
  for (const part of parts) t.ok(Object.isFrozen(part));
  t.notOk(Object.isFrozen(layer.clients.allowedHosts));
  t.strictSame(Object.keys(layer.clients), ['allowedHosts']);
  t.notOk(Object.isFrozen(routes));
});

t.test('a $schema for editors is allowed', async (t) => {
  t.doesNotThrow(() => resolveConfig({ $schema: './docs/config.schema.json' }));
});
