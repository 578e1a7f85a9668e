import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { NO_CREDENTIAL } from '../../src/auth-store/auth-document.ts';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { send } from '../helpers/exchange.ts';
import { makeFile, makeFolder, run, serve, type TestScope } from '../helpers/program.ts';
import { readStatus, untilStatus } from '../helpers/until-status.ts';
import { openStore } from './open-store.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

const LIFETIME_SECONDS = 25;
const MODELS = '/backend-api/codex/models';

/** A database with a login, and what `serve` needs to use it. */
async function start(t: TestScope, agentIdentity = {}) {
  const postgres = await Postgres.start(t);
  const emulator = await startEmulator({ accessTokenLifetimeSeconds: LIFETIME_SECONDS });
  emulator.settings.revokeFamilyOnReuse = true;
  t.teardown(() => emulator.close());
  const folder = await makeFolder(t);
  const keyFile = join(folder, 'key.json');
  await writeFile(keyFile, await KeyRing.generate(), { mode: 0o600 });
  const config = await makeFile(t, 'config.json', {
    codexHome: folder,
    store: { kind: 'postgres', keyFile },
    agentIdentity,
    upstream: { ...emulator.upstream, proxy: null },
  });
  const env = { SIDECAR_STORE_URL_FILE: await makeFile(t, 'url', postgres.url()) };
  const store = openStore({ urls: postgres.url(), keyFile });
  t.teardown(() => store.close());
  const signIn = () => store.overwrite({ ...NO_CREDENTIAL, ...emulator.issueLogin().authJson });
  return { postgres, emulator, config, env, store, signIn };
}

async function ask(url: string): Promise<{ status: number; code: string | undefined }> {
  const { status, headers } = await send(url + MODELS);
  const code = headers['x-sidecar-error'];
  return { status, code: typeof code === 'string' ? code : undefined };
}

t.test('T7: two sidecars outlive a database that is away', WITH_POSTGRES, async (t) => {
  const { postgres, emulator, config, env, signIn } = await start(t);
  await signIn();
  await postgres.stop('fast');
  const sidecars = [
    await serve(t, ['--config', config], env),
    await serve(t, ['--config', config], env),
  ];
  const urls = sidecars.map(({ url }) => url);
  for (const url of urls) {
    t.strictSame(await ask(url), { status: 503, code: 'AUTH_STORE_UNAVAILABLE' });
    t.equal((await send(`${url}/readyz`)).status, 503);
    t.match(await readStatus(url), { status: 'starting', store: { reachable: false } });
  }
  await postgres.launch();
  for (const url of urls) {
    await untilStatus(url, ({ status }) => status === 'ready');
    t.strictSame(await ask(url), { status: 200, code: undefined });
  }
  await postgres.stop('immediate');
  for (const url of urls) {
    await untilStatus(url, ({ status, store }) => {
      return status === 'degraded' && store.kind === 'postgres' && !store.reachable;
    });
    t.strictSame(await ask(url), { status: 200, code: undefined }, 'served from memory');
  }
  for (const url of urls) {
    while ((await ask(url)).status === 200) await sleep(200);
    t.strictSame(await ask(url), { status: 503, code: 'AUTH_REFRESH_UNAVAILABLE' });
  }
  t.equal(emulator.counts().refreshUses.size, 0, 'nothing is refreshed without the store');
  await postgres.launch();
  for (const url of urls) while ((await ask(url)).status !== 200) await sleep(200);
  t.strictSame([...emulator.counts().refreshUses.values()], [1], 'once, for both');
});

t.test('T11: a login and a logout reach every sidecar', WITH_POSTGRES, async (t) => {
  const { emulator, config, env, store, signIn } = await start(t, {
    policy: 'chatgptAuth',
    form: 'runtimeInstance',
  });
  const urls = [
    (await serve(t, ['--config', config], env)).url,
    (await serve(t, ['--config', config], env)).url,
  ];
  for (const url of urls) t.equal((await ask(url)).code, 'AUTH_NOT_CONFIGURED');
  await signIn();
  for (const url of urls) await untilStatus(url, ({ status }) => status === 'ready');
  const instances = await Promise.all(
    urls.map(async (url) => (await readStatus(url)).agentIdentity),
  );
  t.equal(new Set(instances.map(({ runtimeInstanceId }) => runtimeInstanceId)).size, 2);
  t.equal(emulator.counts().instances, 2, 'each has a runtime instance of its own');
  t.equal((await store.load())?.identityRecord, null, 'none of which is stored');
  const key = emulator.issueApiKey();
  const login = await run(t, ['login', '--with-api-key', '--config', config], env, { input: key });
  t.equal(login.code, 0);
  for (const url of urls) await untilStatus(url, ({ authMode }) => authMode === 'apikey');
  t.equal((await run(t, ['logout', '--config', config], env)).code, 0);
  for (const url of urls) await untilStatus(url, ({ status }) => status === 'unauthenticated');
});
