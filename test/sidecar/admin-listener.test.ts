import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Answer, localError, readAnswer, send } from '../helpers/exchange.ts';
import { makeFile, run, start } from '../helpers/program.ts';
import { MODELS, makeFolder, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { closedPort, startUpstream } from '../helpers/upstream.ts';

const TOKEN = 'token-of-an-agent';
/** Path, method, and the status where it is served. */
const FOR_OPERATORS: [path: string, method: string, status: number][] = [
  ['/auth/status', 'GET', 200],
  ['/auth/clients', 'GET', 200],
  ['/metrics', 'GET', 200],
  ['/auth/reload', 'POST', 200],
];

async function stand(t: Test, admin: object, limits = 'for=codex') {
  const upstream = await startUpstream(t, (_request, response) => response.end('reached'));
  const folder = await makeFolder(t);
  const digest = createHash('sha256').update(TOKEN).digest('hex');
  const tokensFile = join(folder, 'tokens');
  await writeFile(tokensFile, `agent:${digest} ${limits}\n`);
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, {
    config: { admin: { listen: admin }, clients: { tokensFile } },
  });
  await sidecar.sidecar.manager.prepare();
  const { adminAddress } = sidecar.sidecar;
  return { ...sidecar, upstream, folder, operator: adminAddress };
}

function viaSocket(socketPath: string, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, agent: false }, (response) => {
      readAnswer(response).then(resolve, reject);
    });
    call.once('error', reject);
    call.end();
  });
}

t.test('on a socket the operator needs nothing, and clients are refused', async (t) => {
  const socket = join(await makeFolder(t), 'admin');
  const { url, operator } = await stand(t, { socket });
  t.strictSame(operator, { port: null, socket, url: null });
  t.equal((await stat(socket)).mode & 0o777, 0o600);
  const headers = { 'x-sidecar-token': TOKEN };
  for (const [path, method, status] of FOR_OPERATORS) {
    t.equal((await viaSocket(socket, path, method)).status, status, path);
    const refused = await send(url + path, { method, headers });
    localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
  }
  for (const path of ['/auth/status', '/metrics', '/auth/events', '/']) {
    const refused = await send(url + path);
    localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
    t.match(refused.text, 'admin.listen', path);
  }
  localError(t, await send(`${url}/auth/reload`, { method: 'POST' }), 401, 'AUTH_CLIENT_TOKEN');
});

t.test('probes are answered on both, and nothing is proxied for the operator', async (t) => {
  const socket = join(await makeFolder(t), 'admin');
  const { url, upstream } = await stand(t, { socket });
  for (const path of ['/livez', '/readyz']) {
    t.equal((await send(url + path)).status, 200);
    t.equal((await viaSocket(socket, path)).status, 200);
  }
  const headers = { 'x-sidecar-token': TOKEN };
  t.equal((await send(url + MODELS, { headers })).text, 'reached');
  localError(t, await viaSocket(socket, MODELS), 403, 'AUTH_ROUTE_DENIED');
  localError(t, await viaSocket(socket, '/v1/models'), 403, 'AUTH_ROUTE_DENIED');
  t.equal(upstream.requests.length, 1);
});

t.test('on a port this machine reads, and a change needs a token that reaches it', async (t) => {
  const { operator } = await stand(t, { port: 0 }, 'for=codex routes=/auth/reload');
  const at = operator?.url ?? '';
  t.equal((await send(`${at}/auth/status`)).status, 200);
  t.equal((await send(`${at}/metrics`)).status, 200);
  localError(t, await send(`${at}/auth/reload`, { method: 'POST' }), 401, 'AUTH_CLIENT_TOKEN');
  const headers = { authorization: `Bearer ${TOKEN}` };
  t.equal((await send(`${at}/auth/reload`, { method: 'POST', headers })).status, 200);
  const page = await send(`${at}/auth/status`, { headers: { host: 'evil.example' } });
  localError(t, page, 403, 'AUTH_HOST_NOT_ALLOWED');
});

t.test('with TLS, and certificates of its own', async (t) => {
  const tls = await makeTls(t, ['operator.example routes=/auth/reload']);
  const { operator } = await stand(t, { port: 0, tls: tls.config });
  t.match(operator?.url, /^https:/);
  const shown = tls.client({ names: ['DNS:operator.example'] });
  const ask = (method: string, path: string, options: object) =>
    send(`${operator?.url}${path}`, { method, tls: options });
  t.equal((await ask('GET', '/auth/status', tls.trust)).status, 200);
  t.equal((await ask('POST', '/auth/reload', tls.trust)).status, 401);
  t.equal((await ask('POST', '/auth/reload', shown)).status, 200);
});

t.test('metrics count both, and a reload from there reaches clients', async (t) => {
  const socket = join(await makeFolder(t), 'admin');
  const { url, folder } = await stand(t, { socket });
  await send(`${url}/livez`);
  const counted = (await viaSocket(socket, '/metrics')).text;
  t.match(counted, /requests_total\{kind="own",method="GET",status="2xx"\} [1-9]/);
  await writeFile(join(folder, 'tokens'), '# none\n');
  t.equal((await viaSocket(socket, '/auth/reload', 'POST')).status, 200);
  const headers = { 'x-sidecar-token': TOKEN };
  t.equal((await send(url + MODELS, { headers })).status, 401);
});

t.test('commands find it by the settings, and a stop closes it', async (t) => {
  const folder = await makeFolder(t);
  const socket = join(folder, 'admin');
  const port = await closedPort();
  const config = await makeFile(t, 'c.json', { listen: { port }, admin: { listen: { socket } } });
  const info = join(folder, 'info');
  const args = ['--config', config, '--server-info', info];
  const program = start(t, ['serve', ...args], { CODEX_API_KEY: 'sk-test-of-admin' });
  t.match(await program.logged('listening'), { port, admin: { socket } });
  t.match(JSON.parse(await readFile(info, 'utf8')), { port, admin: { socket } });
  const own = ['--config', config];
  t.equal((await run(t, ['status', ...own])).code, 0);
  t.equal((await run(t, ['healthcheck', ...own])).code, 0);
  const named = await run(t, ['status', ...own, '--port', String(port)]);
  t.match(named.stderr, /refused: this is for the operator.*\(admin\.listen\)/);
  program.kill('SIGTERM');
  t.equal((await program.ended).code, 0);
  t.match(await run(t, ['status', ...own]), { code: 1, stderr: /cannot be reached \(ENOENT\)/ });
});

t.test('an address that is taken, or that others reach, is named by its setting', async (t) => {
  const { port } = await stand(t, { port: 0 });
  const serve = async (listen: object) => {
    const file = await makeFile(t, 'c.json', { listen: { port: 0 }, admin: { listen } });
    return run(t, ['serve', '--config', file]);
  };
  const taken = await serve({ port });
  t.equal(taken.code, 1);
  t.match(taken.stderr, 'is taken by another process; choose another with admin.listen.port');
  const exposed = await serve({ host: '0.0.0.0', port: 0 });
  t.equal(exposed.code, 2);
  t.match(exposed.stderr, 'admin.listen.host 0.0.0.0 is not loopback: set clients.tokensFile');
  const half = await serve({ port: 0, tls: { certFile: '/c' } });
  t.match(half.stderr, 'admin.listen.tls.certFile is set without keyFile');
});
