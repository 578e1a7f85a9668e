import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import { NO_CREDENTIAL } from '../../src/auth-store/auth-document.ts';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { send } from '../helpers/exchange.ts';
import { makeFile, makeFolder, type Serving, serve, type TestScope } from '../helpers/program.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { openStore } from './open-store.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';
import { Spreader } from './spreader.ts';

t.setTimeout(120_000);

const CLIENTS = 8;
const TOKEN = 'token-of-the-load';
const RESPONSES = '/backend-api/codex/responses';

/** Two sidecars of one login behind one address, with TLS. */
async function startFleet(t: TestScope, tls: Awaited<ReturnType<typeof makeTls>>) {
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
  const config = await makeFile(t, 'config.json', {
    codexHome: folder,
    agentIdentity: { policy: 'chatgptAuth' },
    store: { kind: 'postgres', keyFile },
    listen: { tls: tls.config },
    clients: { tokensFile },
    upstream: { ...emulator.upstream, proxy: null },
  });
  const env = { SIDECAR_STORE_URL_FILE: await makeFile(t, 'url', postgres.url()) };
  const store = openStore({ urls: postgres.url(), keyFile });
  t.teardown(() => store.close());
  await store.overwrite({ ...NO_CREDENTIAL, ...emulator.issueLogin().authJson });
  const spreader = await Spreader.start(t);
  const portOf = ({ url }: Serving) => Number(new URL(url).port);
  const add = async () => {
    const sidecar = await serve(t, ['--config', config], env);
    while ((await send(`${sidecar.url}/readyz`, { tls: tls.trust })).status !== 200);
    spreader.add(portOf(sidecar));
    return sidecar;
  };
  /** As a pod goes: it gets no new connections, then the signal. */
  const retire = async (sidecar: Serving) => {
    spreader.remove(portOf(sidecar));
    sidecar.program.kill('SIGTERM');
    return sidecar.program.ended;
  };
  return { emulator, spreader, add, retire };
}

/** Clients that keep their connections and ask again and again; stopped by the function it returns. */
function load(port: number, ca: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS, ca });
  const outcomes = new Map<string, number>();
  const running = { on: true };
  const headers = { 'x-sidecar-token': TOKEN };
  const turn = { model: 'gpt-x', instructions: '', input: [], store: false, stream: true };
  const client = async () => {
    while (running.on) {
      const outcome = await send(`https://127.0.0.1:${port}${RESPONSES}`, {
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
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    count: () => [...outcomes.values()].reduce((sum, count) => sum + count, 0),
    stop: async () => {
      running.on = false;
      await clients;
      agent.destroy();
      return Object.fromEntries(outcomes);
    },
  };
}

t.test('a rolling restart under load fails no request', WITH_POSTGRES, async (t) => {
  const tls = await makeTls(t);
  const { emulator, spreader, add, retire } = await startFleet(t, tls);
  const fleet = [await add(), await add()];
  const { count, stop } = load(spreader.port, tls.authority.cert);
  const more = async (requests: number) => {
    const enough = count() + requests;
    while (count() < enough) await new Promise((resolve) => setImmediate(resolve));
  };
  await more(200);
  for (const old of fleet) {
    await add();
    const { code, signal } = await retire(old);
    t.strictSame({ code, signal }, { code: 0, signal: null });
    await more(200);
  }
  const outcomes = await stop();
  t.strictSame(Object.keys(outcomes), ['200'], JSON.stringify(outcomes));
  t.ok((outcomes['200'] ?? 0) >= 600);
  const registered = emulator.records.filter(({ path }) => path.endsWith('/v1/agent/register'));
  t.equal(registered.length, 1, 'one agent for all of them');
});
