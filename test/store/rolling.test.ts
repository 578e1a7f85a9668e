import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { NO_CREDENTIAL } from '../../src/auth-store/auth-document.ts';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { send } from '../helpers/exchange.ts';
import { makeFile, makeFolder, type Serving, serve, type TestScope } from '../helpers/program.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { closedPort } from '../helpers/upstream.ts';
import { nginxProgram, startNginx } from './nginx.ts';
import { openStore } from './open-store.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';
import { Spreader } from './spreader.ts';

t.setTimeout(300_000);

const CLIENTS = 8;
const TOKEN = 'token-of-the-load';
const RESPONSES = '/backend-api/codex/responses';

/** A login in a database, and all that sidecars need to share it. */
async function startLogin(t: TestScope) {
  const postgres = await Postgres.start(t);
  const emulator = await startEmulator();
  emulator.settings.revokeFamilyOnReuse = true;
  t.teardown(() => emulator.close());
  const folder = await makeFolder(t);
  const keyFile = join(folder, 'key.json');
  await writeFile(keyFile, await KeyRing.generate(), { mode: 0o600 });
  const tokensFile = join(folder, 'tokens');
  const digest = createHash('sha256').update(TOKEN).digest('hex');
  await writeFile(tokensFile, `load:${digest} for=codex\n`, { mode: 0o600 });
  const config = {
    codexHome: folder,
    agentIdentity: { policy: 'chatgptAuth' },
    store: { kind: 'postgres', keyFile },
    clients: { tokensFile },
    upstream: { ...emulator.upstream, proxy: null },
  };
  const env = { SIDECAR_STORE_URL_FILE: await makeFile(t, 'url', postgres.url()) };
  const store = openStore({ urls: postgres.url(), keyFile });
  t.teardown(() => store.close());
  await store.overwrite({ ...NO_CREDENTIAL, ...emulator.issueLogin().authJson });
  const start = async (more: object, args: string[], trust: ConnectionOptions = {}) => {
    const path = await makeFile(t, 'config.json', { ...config, ...more });
    const sidecar = await serve(t, ['--config', path, ...args], env);
    while ((await send(`${sidecar.url}/readyz`, { tls: trust })).status !== 200);
    return sidecar;
  };
  return { emulator, start };
}

const portOf = ({ url }: Serving) => Number(new URL(url).port);

async function stop({ program }: Serving) {
  program.kill('SIGTERM');
  const { code, signal } = await program.ended;
  return { code, signal };
}
const IN_ORDER = { code: 0, signal: null };

/** Clients that keep their connections and ask again and again. */
function load(origin: string, agent: HttpAgent | HttpsAgent) {
  const outcomes = new Map<string, number>();
  const running = { on: true };
  const headers = { 'x-sidecar-token': TOKEN };
  const turn = { model: 'gpt-x', instructions: '', input: [], store: false, stream: true };
  const client = async () => {
    while (running.on) {
      const outcome = await send(origin + RESPONSES, {
        body: JSON.stringify(turn),
        headers: { ...headers, 'content-type': 'application/json' },
        agent,
      }).then(
        ({ status, headers }) => `${status} ${headers['x-sidecar-error'] ?? ''}`.trim(),
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  const count = () => [...outcomes.values()].reduce((sum, number) => sum + number, 0);
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    /** Resolves when so many more have been answered. */
    more: async (requests: number) => {
      const enough = count() + requests;
      while (count() < enough) await new Promise((resolve) => setImmediate(resolve));
    },
    stop: async () => {
      running.on = false;
      await clients;
      agent.destroy();
      return Object.fromEntries(outcomes);
    },
  };
}

/** All were answered with 200. */
function checkOutcomes(t: Test, outcomes: Record<string, number>, atLeast: number): void {
  t.strictSame(Object.keys(outcomes), ['200'], JSON.stringify(outcomes));
  t.ok((outcomes['200'] ?? 0) >= atLeast);
}

t.test('a rolling restart under load fails no request', WITH_POSTGRES, async (t) => {
  const { emulator, start } = await startLogin(t);

  await t.test('as a deployment and a service of Kubernetes do it, over TLS', async (t) => {
    const tls = await makeTls(t);
    const spreader = await Spreader.start(t);
    const add = async () => {
      const sidecar = await start({ listen: { tls: tls.config } }, [], tls.trust);
      spreader.add(portOf(sidecar));
      return sidecar;
    };
    const fleet = [await add(), await add()];
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: CLIENTS, ...tls.trust });
    const clients = load(`https://127.0.0.1:${spreader.port}`, agent);
    await clients.more(100);
    for (const old of fleet) {
      await add();
      // A pod that goes gets no new connections, then the signal.
      spreader.remove(portOf(old));
      t.strictSame(await stop(old), IN_ORDER);
      await clients.more(100);
    }
    checkOutcomes(t, await clients.stop(), 300);
  });

  const program = nginxProgram();
  const skip = program === null ? 'there is no nginx' : false;
  await t.test('as Compose and nginx do it', { skip }, async (t) => {
    const ports = [await closedPort(), await closedPort()];
    const sidecars = await Promise.all(ports.map((port) => start({}, ['--port', String(port)])));
    const port = await startNginx(t, program ?? '', ports);
    const agent = new HttpAgent({ keepAlive: true, maxSockets: CLIENTS });
    const clients = load(`http://127.0.0.1:${port}`, agent);
    await clients.more(100);
    for (const [index, sidecar] of sidecars.entries()) {
      t.strictSame(await stop(sidecar), IN_ORDER);
      await clients.more(100);
      await start({}, ['--port', String(ports[index])]);
      await clients.more(100);
    }
    checkOutcomes(t, await clients.stop(), 300);
  });

  const registered = emulator.records.filter(({ path }) => path.endsWith('/v1/agent/register'));
  t.equal(registered.length, 1, 'one agent for all of them');
});
