import t, { type Test } from 'tap';
import { invalidFile, loginWithIdentity, nothing } from '../helpers/credentials.ts';
import { open, send } from '../helpers/exchange.ts';
import {
  MODELS,
  RESPONSES,
  type SidecarWithEmulator,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { readStatus, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

/** All three probes agree on a state that is `ready`, or none but life. */
async function checkProbes(t: Test, url: string, state: string, code: 200 | 503): Promise<void> {
  const status = await send(`${url}/auth/status`);
  t.equal(status.status, code);
  t.equal(JSON.parse(status.text).status, state);
  const ready = await send(`${url}/readyz`);
  t.equal(ready.status, code);
  t.strictSame(JSON.parse(ready.text), { status: state });
  const live = await send(`${url}/livez`);
  t.equal(live.status, 200);
  t.strictSame(JSON.parse(live.text), { status: 'live' });
  for (const { headers } of [status, ready, live]) {
    t.equal(headers['cache-control'], 'no-store');
    t.equal(headers['content-type'], 'application/json; charset=utf-8');
    t.equal(headers['set-cookie'], undefined);
  }
}

t.test('ready', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  await untilStatus(url, ({ status }) => status === 'ready');
  await checkProbes(t, url, 'ready', 200);
});

t.test('unauthenticated', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: nothing });
  await untilStatus(url, ({ status }) => status !== 'starting');
  await checkProbes(t, url, 'unauthenticated', 503);
});

t.test('failed', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: invalidFile });
  await untilStatus(url, ({ status }) => status !== 'starting');
  await checkProbes(t, url, 'failed', 503);
});

t.test('starting, while the identity is registered, then ready', async (t) => {
  const upstream = await startUpstream(t);
  const config = { agentIdentity: { policy: 'chatgptAuth' } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const agent = await upstream.next();
  await checkProbes(t, url, 'starting', 503);
  agent.response.end('{"agent_runtime_id":"agent-1"}');
  (await upstream.next()).response.end('{"task_id":"task-1"}');
  await untilStatus(url, ({ status }) => status === 'ready');
  await checkProbes(t, url, 'ready', 200);
});

t.test('failed, when the identity cannot be had', async (t) => {
  const { url } = await withoutIdentity(t, 'error');
  const { agentIdentity } = await untilStatus(url, ({ status }) => status !== 'starting');
  t.equal(agentIdentity.state, 'unavailable');
  t.match(agentIdentity.lastError, '403');
  await checkProbes(t, url, 'failed', 503);
});

t.test('degraded, when the operator wants the bearer instead', async (t) => {
  const { url, emulator } = await withoutIdentity(t, 'bearer');
  t.equal((await send(url + RESPONSES, { method: 'POST' })).status, 200);
  const turn = await emulator.waitFor(({ path }) => path === RESPONSES);
  t.match(turn.auth, { kind: 'bearer', verified: true });
  await untilStatus(url, ({ status }) => status === 'degraded');
  await checkProbes(t, url, 'degraded', 200);
});

function withoutIdentity(t: Test, onUnavailable: string): Promise<SidecarWithEmulator> {
  return startSidecarWithEmulator(t, {
    credential: (emulator) => {
      emulator.addFault({ path: '/api/accounts/v1/agent/*', status: 403, times: 0 });
      const given = loginWithIdentity(emulator);
      return { ...given, config: { agentIdentity: { policy: 'chatgptAuth', onUnavailable } } };
    },
  });
}

t.test('draining', async (t) => {
  const { url, sidecar } = await startSidecarWithEmulator(t);
  await sidecar.drain();
  await checkProbes(t, url, 'draining', 503);
});

for (const path of ['/auth/status', '/readyz']) {
  t.test(`${path} tries again what the start could not do`, async (t) => {
    const upstream = await startUpstream(t);
    const config = {
      agentIdentity: { policy: 'chatgptAuth', minRegistrationIntervalSeconds: 0 },
    };
    const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
    (await upstream.next()).response.writeHead(403).end();
    const registered = upstream.next().then(async (agent) => {
      agent.response.end('{"agent_runtime_id":"agent-1"}');
      (await upstream.next()).response.end('{"task_id":"task-1"}');
    });
    while ((await send(url + path)).status !== 200);
    await registered;
  });
}

t.test('the counters follow the traffic', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: loginWithIdentity });
  await send(url + RESPONSES, { method: 'POST' });
  await send(url + MODELS);
  await send(url + MODELS);
  await send(`${url}/backend-api/wham/agent-identities/jwks`);
  await send(`${url}/backend-api/wham/remote/control/x`);
  await tryUpgrade(url + RESPONSES);
  const { requests, upstream } = await readStatus(url);
  t.strictSame(requests, { assertion: 2, bearer: 2, degraded: 0, denied: 1 });
  t.equal(upstream.lastStatus, 101);
  t.ok(Math.abs(upstream.clockSkewSeconds ?? 99) <= 60);
  await untilStatus(url, ({ connections }) => connections.http + connections.websocket === 0);
});

t.test('an exchange counts as open until its answer has ended', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const call = open(url + MODELS);
  call.request.end();
  const { response } = await upstream.next();
  response.write('begun');
  const received = await call.response;
  t.equal((await readStatus(url)).connections.http, 1);
  response.end();
  received.resume();
  await untilStatus(url, ({ connections }) => connections.http === 0);
});
