import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { KeyRing } from '../../src/auth-store/sealing.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { makeFile, makeFolder, run, serve, start as startProgram } from '../helpers/program.ts';
import { Postgres, WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

interface Scene {
  env: Record<string, string>;
  folder: string;
  postgres: Postgres;
  emulator: Emulator;
  program(...args: string[]): ReturnType<typeof run>;
  authJson: { tokens: Record<string, string> };
}

/** A database without a table, and settings that name it behind a server that is away. */
async function start(t: Test): Promise<Scene> {
  const postgres = await Postgres.start(t);
  await postgres.sql('DROP SCHEMA codex_auth_sidecar CASCADE');
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const folder = await makeFolder(t);
  await writeFile(join(folder, 'key.json'), await KeyRing.generate(), { mode: 0o600 });
  await writeFile(join(folder, 'url'), `${postgres.url(1)}\n${postgres.url()}\n`, { mode: 0o600 });
  const env = {
    CODEX_HOME: folder,
    SIDECAR_STORE: 'postgres',
    SIDECAR_STORE_KEY_FILE: join(folder, 'key.json'),
    SIDECAR_STORE_URL_FILE: join(folder, 'url'),
    SIDECAR_UPSTREAM_OAUTH_ISSUER: emulator.url,
  };
  const { authJson } = emulator.issueLogin();
  const program = (...args: string[]) => run(t, args, env);
  return { env, folder, postgres, emulator, program, authJson };
}

t.test('a login moves into the store and back', WITH_POSTGRES, async (t) => {
  const { env, folder, postgres, program, authJson } = await start(t);
  const before = await program('store', 'status');
  t.equal(before.code, 1);
  t.match(before.stderr, /table codex_auth_sidecar\.login is missing; run: .*store init/);
  const init = await program('store', 'init');
  t.match(init, { code: 0, stdout: /the table codex_auth_sidecar\.login is in 127\.0\.0\.1:/ });
  t.equal((await program('store', 'init')).code, 0, 'a second time does no harm');
  const path = join(folder, 'auth.json');
  await writeFile(path, JSON.stringify({ ...authJson, extra: 'kept' }), { mode: 0o600 });
  const taken = await program('login', '--import', path, '--take');
  t.match(taken, {
    code: 0,
    stdout: /^stored in 127.*auth#default; .*auth\.json no longer holds it/,
  });
  t.notMatch(await readFile(path, 'utf8'), /refresh_token/);
  const [row] = await postgres.sql('SELECT sealed FROM codex_auth_sidecar.login');
  t.notMatch(String(row?.sealed), authJson.tokens.refresh_token ?? '?');
  const status = JSON.parse((await program('store', 'status')).stdout);
  t.match(status, { kind: 'postgres', reachable: true, version: 1, rotation: 0 });
  const doctor = await program('doctor');
  t.match(doctor.stdout, /✓ store +127\.0\.0\.1:\d+\/auth#default, read in/);
  t.match(doctor.stdout, /✓ credential +ChatGPT login from the shared store/);
  t.match(doctor.stdout, `at 127.0.0.1:${postgres.port}/auth`);
  t.match(doctor.stdout, /! database +the role has superuser and DELETE, which no sidecar needs/);
  t.match(doctor.stdout, /! database +no synchronous standby/);
  t.notMatch(doctor.stdout, /sidecars are connected as/);
  for (const replica of ['twin', 'twin', 'other']) {
    await serve(t, [], { ...env, SIDECAR_STORE_REPLICA: replica });
  }
  const asTwin = await run(t, ['doctor'], { ...env, SIDECAR_STORE_REPLICA: 'twin' });
  t.match(asTwin.stdout, /! store +2 sidecars are connected as twin, .*; give each its own/);
  const asOther = await run(t, ['doctor'], { ...env, SIDECAR_STORE_REPLICA: 'other' });
  t.notMatch(asOther.stdout, /sidecars are connected as/);
  const exported = await program('store', 'export');
  t.match(exported, {
    code: 0,
    stdout: /^moved the login to .*auth\.json; it is signed out in 127/,
  });
  t.match(JSON.parse(await readFile(path, 'utf8')), { tokens: authJson.tokens, extra: 'kept' });
  t.match((await program('store', 'export')).stdout, /holds no login/);
});

t.test(
  'a device code signs in to the store, and replaces no other account',
  WITH_POSTGRES,
  async (t) => {
    const { env, emulator, program } = await start(t);
    emulator.settings.deviceIntervalSeconds = 1;
    await program('store', 'init');
    const signIn = async (accountId: string) => {
      const login = startProgram(t, ['login', '--device-auth'], env);
      const code = await login.line((text) => /^ {4}[A-Z0-9]{4}-[A-Z0-9]{5}$/.test(text));
      emulator.decideDeviceLogin(code.trim(), { accountId, userId: 'user-1' });
      return login.ended;
    };
    t.match(await signIn('account-1'), { code: 0, stdout: /stored in 127.*auth#default/ });
    const first = JSON.parse((await program('store', 'status')).stdout);
    t.match(await signIn('account-1'), { code: 0 });
    const second = JSON.parse((await program('store', 'status')).stdout);
    t.ok(second.login > first.login, 'newer than what anybody remembers');
    t.match(await signIn('account-2'), {
      code: 1,
      stderr: /holds another credential, which stays/,
    });
    t.match(JSON.parse((await program('store', 'status')).stdout), { login: second.login });
  },
);

t.test('rekey seals with the first key, and logout signs out', WITH_POSTGRES, async (t) => {
  const { folder, postgres, program, authJson } = await start(t);
  await program('store', 'init');
  const file = await makeFile(t, 'auth.json', authJson);
  t.match(await program('login', '--import', file), { code: 0 });
  const first = JSON.parse((await program('store', 'status')).stdout);
  const keyPath = join(folder, 'key.json');
  const old = JSON.parse(await readFile(keyPath, 'utf8'));
  const fresh = JSON.parse((await program('store', 'key')).stdout);
  await writeFile(keyPath, JSON.stringify({ keys: [...fresh.keys, ...old.keys] }));
  const [key] = fresh.keys;
  const id = key.kid.slice(0, 8);
  t.equal((await program('store', 'rekey')).stdout, `sealed with the key ${id}\n`);
  await writeFile(keyPath, JSON.stringify(fresh));
  const second = JSON.parse((await program('store', 'status')).stdout);
  t.match(second, { keyId: id, version: first.version + 1, login: first.login });
  await writeFile(keyPath, JSON.stringify(old));
  const wrong = await program('store', 'status');
  t.match(wrong, { code: 1, stderr: new RegExp(`store.keyFile has no key ${id}`) });
  t.match(await program('logout'), { code: 1, stderr: /store\.keyFile has no key/ });
  await writeFile(keyPath, JSON.stringify(fresh));
  t.match(await program('logout'), { code: 0, stdout: /removed the credential from 127/ });
  const [row] = await postgres.sql('SELECT sealed, login FROM codex_auth_sidecar.login');
  t.equal(row?.sealed, null);
  t.ok(Number(row?.login) > first.login, 'newer than what anybody remembers');
});

t.test('the printed SQL makes what a role of a sidecar needs', WITH_POSTGRES, async (t) => {
  const { folder, postgres, program, authJson } = await start(t);
  await postgres.sql('CREATE ROLE sidecar LOGIN');
  const printed = await program('store', 'init', '--print', '--role', 'sidecar');
  await postgres.sql(printed.stdout);
  await writeFile(join(folder, 'url'), postgres.url(postgres.port, 'sidecar'));
  const file = await makeFile(t, 'auth.json', authJson);
  t.match(await program('login', '--import', file), { code: 0 });
  t.match(await program('store', 'status'), { code: 0 });
  t.notMatch((await program('doctor')).stdout, /the role (has|lacks)/);
  await postgres.sql('REVOKE DELETE ON codex_auth_sidecar.usage FROM sidecar');
  const alone =
    /! database +the table of what clients have used is missing, or the role lacks a right/;
  t.match((await program('doctor')).stdout, alone);
  await postgres.sql('DROP TABLE codex_auth_sidecar.usage');
  t.match((await program('doctor')).stdout, alone);
  await postgres.sql('REVOKE UPDATE ON codex_auth_sidecar.login FROM sidecar');
  t.match((await program('doctor')).stdout, /✗ database +the role lacks UPDATE on the table/);
  t.match(await program('logout'), {
    code: 1,
    stderr: /the role sidecar lacks a right; run: GRANT/,
  });
});

const WRONG: [what: string, change: Record<string, string>, message: RegExp][] = [
  ['no key file', { SIDECAR_STORE_KEY_FILE: '' }, /store\.keyFile is not set/],
  ['no URL file', { SIDECAR_STORE_URL_FILE: '' }, /SIDECAR_STORE_URL_FILE is not set/],
  [
    'a URL in the environment',
    { SIDECAR_STORE_URL: 'postgres:' },
    /SIDECAR_STORE_URL is not taken/,
  ],
  [
    'another kind',
    { SIDECAR_STORE: 'redis' },
    /SIDECAR_STORE \(store\.kind\) must be one of file, p/,
  ],
  ['a bad name', { SIDECAR_STORE_NAME: 'A B' }, /SIDECAR_STORE_NAME \(store\.name\) is not valid/],
];
for (const [what, change, message] of WRONG) {
  t.test(`refused at the start, in one line: ${what}`, async (t) => {
    const key = await makeFile(t, 'key.json', await KeyRing.generate());
    const url = await makeFile(t, 'url', 'postgres://u:p@127.0.0.1:1/auth');
    const env = {
      SIDECAR_STORE: 'postgres',
      SIDECAR_STORE_KEY_FILE: key,
      SIDECAR_STORE_URL_FILE: url,
      ...change,
    };
    for (const command of [['serve'], ['logout']]) {
      const { code, stderr } = await run(t, command, env);
      t.equal(code, 2);
      t.match(stderr, message);
      t.equal(stderr.trim().split('\n').length, 1);
    }
  });
}

t.test('a URL in the configuration is an unknown key', async (t) => {
  const config = await makeFile(t, 'config.json', { store: { url: 'postgres://u:hush@h/d' } });
  const { code, stderr } = await run(t, ['serve', '--config', config]);
  t.equal(code, 2);
  t.match(stderr, /unknown key "store\.url"; known keys: kind, name/);
  t.notMatch(stderr, 'hush');
});
