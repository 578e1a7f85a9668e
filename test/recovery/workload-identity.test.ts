import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { AccountOptions } from '../../src/emulator/accounts.ts';
import { noteStored } from '../helpers/leak-watch.ts';
import {
  getModels,
  infer,
  MODELS,
  type SidecarWithClock,
  type SidecarWithClockOptions,
  startSidecarWithClock,
  TOKEN,
} from '../helpers/sidecar-with-clock.ts';

const RULE = 'OPENAI_FEDERATION_RULE_ID';
const IDENTITY = 'OPENAI_IDENTITY_TOKEN_FILE';
const MINUTE = 60_000;
const ACCOUNT = { accountId: 'account-1', userId: 'user-1', planType: 'business' };

interface Workload {
  scene: SidecarWithClock;
  env: Record<string, string>;
  /** The provider replaces the identity token in the file. */
  rotate: () => Promise<void>;
}

/** A sidecar whose only credential is a federation rule and the file of an identity token. */
async function startWorkload(
  t: Test,
  options: SidecarWithClockOptions = {},
  account: AccountOptions = ACCOUNT,
): Promise<Workload> {
  // Both are set once the backend knows the rule; the environment is read again at each load.
  const env: Record<string, string> = {};
  const scene = await startSidecarWithClock(t, {
    authJson: () => null,
    emulator: { accessTokenLifetimeSeconds: 3600 },
    env: () => env,
    ...options,
  });
  const file = join(scene.home.folder, 'identity-token');
  const write = (token: string) => {
    noteStored(JSON.stringify({ tokens: { access_token: token } }));
    writeFileSync(file, `${token}\n`);
  };
  const { ruleId, identityToken } = await scene.emulator.issueWorkloadIdentity(account);
  write(identityToken);
  Object.assign(env, { [RULE]: ruleId, [IDENTITY]: file });
  const rotate = async () =>
    write((await scene.emulator.renewWorkloadIdentity(ruleId)).identityToken);
  return { scene, env, rotate };
}

const exchanged = ({ path, complete }: { path: string; complete: boolean }) =>
  path === TOKEN && complete;

t.test('a workload gets its access token for the identity token of its provider', async (t) => {
  const { scene, env } = await startWorkload(t);
  t.equal((await getModels(scene)).status, 200);
  t.equal((await infer(scene)).status, 200, 'and the bearer is what inference carries');
  t.equal(scene.count(TOKEN), 1, 'one exchange for all requests');
  const status = await scene.status();
  t.match(status, {
    status: 'ready',
    authMode: 'workloadIdentity',
    credentialSource: RULE,
    bearer: { state: 'valid', lastError: null },
  });
  const [request] = scene.emulator.records.filter(({ path }) => path === TOKEN);
  t.match(request?.headers['content-type'], /^application\/x-www-form-urlencoded/);
  t.notMatch(JSON.stringify(request?.headers), String(env[RULE]));
});

t.test('the account of the response goes upstream, FedRAMP included', async (t) => {
  const { scene } = await startWorkload(t, {}, { ...ACCOUNT, fedramp: true });
  await getModels(scene);
  const seen = scene.emulator.records.find(({ path }) => path.endsWith('/models'));
  t.equal(seen?.headers['chatgpt-account-id'], 'account-1');
  t.equal(seen?.headers['x-openai-fedramp'], 'true');
  t.equal((await scene.status()).planType, 'business');
});

t.test('many requests at a cold start cause one exchange', async (t) => {
  const { scene } = await startWorkload(t);
  scene.emulator.addFault({ path: TOKEN, delayMs: 100 });
  const responses = await Promise.all(Array.from({ length: 10 }, () => getModels(scene)));
  t.ok(responses.every(({ status }) => status === 200));
  t.equal(scene.count(TOKEN), 1);
});

t.test(
  'a new token is fetched before the old one ends, with the identity token of then',
  async (t) => {
    const { scene, rotate } = await startWorkload(t);
    await getModels(scene);
    const [delay = 0] = scene.time.delays;
    // A token says its end in whole seconds.
    t.equal(Math.ceil(delay / 1000), 55 * 60);
    // The first identity token has ended by then.
    scene.time.advance(50 * MINUTE);
    await rotate();
    scene.time.advance(5 * MINUTE);
    await scene.emulator.waitFor((request) => exchanged(request) && scene.count(TOKEN) === 2);
    while ((await scene.status()).bearer.state !== 'valid');
    scene.time.advance(10 * MINUTE);
    t.equal((await getModels(scene)).status, 200);
    t.equal(scene.count(TOKEN), 2);
  },
);

t.test(
  'a token that the upstream refuses is replaced, and the request is sent again',
  async (t) => {
    const { scene } = await startWorkload(t);
    await getModels(scene);
    scene.emulator.expireAccessTokens();
    t.equal((await getModels(scene)).status, 200);
    t.equal(scene.count(TOKEN), 2);
  },
);

t.test(
  'an upstream that refuses every token does not cause an exchange for each request',
  async (t) => {
    const { scene } = await startWorkload(t);
    await getModels(scene);
    scene.emulator.addFault({ path: MODELS, status: 401, times: 100 });
    for (let i = 0; i < 10; i++) t.equal((await getModels(scene)).status, 401);
    t.ok(scene.count(TOKEN) <= 4, `${scene.count(TOKEN)} exchanges`);
  },
);

t.test('an identity token that has ended is refused with both names, and no secret', async (t) => {
  const { scene, rotate } = await startWorkload(t);
  scene.time.advance(11 * MINUTE);
  const refused = await getModels(scene);
  t.equal(refused.status, 400);
  const text = refused.text;
  t.match(text, /OPENAI_FEDERATION_RULE_ID.*OPENAI_IDENTITY_TOKEN_FILE.*invalid_grant/);
  await rotate();
  // The pause after a failure.
  scene.time.advance(5_000);
  while ((await scene.status()).bearer.state !== 'valid');
  t.equal((await getModels(scene)).status, 200, 'a new identity token mends it without a restart');
});

t.test('an endpoint that fails is asked again after the pause that it names', async (t) => {
  const { scene } = await startWorkload(t);
  scene.emulator.addFault({ path: TOKEN, status: 503, headers: { 'retry-after': '20' } });
  const failed = await getModels(scene);
  t.equal(failed.status, 503);
  t.match(failed.text, /AUTH_REFRESH_UNAVAILABLE/);
  t.equal(failed.headers.get('retry-after'), '20');
  t.equal((await getModels(scene)).status, 503);
  t.equal(scene.count(TOKEN), 1, 'nobody asks before');
  scene.time.advance(20_000);
  while ((await scene.status()).bearer.state !== 'valid');
  t.equal((await getModels(scene)).status, 200);
});

t.test('a response that is of no use is said to be so', async (t) => {
  const bodies: [object, RegExp][] = [
    [{}, /access_token/],
    [{ access_token: 'a b', chatgpt_account_id: 'x' }, /access_token/],
    [{ access_token: 'abc' }, /chatgpt_account_id/],
    [{ access_token: 'abc', chatgpt_account_id: 'x\r\ny: z' }, /chatgpt_account_id/],
  ];
  for (const [body, problem] of bodies) {
    const { scene } = await startWorkload(t);
    scene.emulator.addFault({ path: TOKEN, body });
    const failed = await getModels(scene);
    t.equal(failed.status, 503);
    t.match(failed.text, problem);
  }
});

t.test('a token without an end is kept until it is refused', async (t) => {
  const { scene } = await startWorkload(t);
  const body = { access_token: 'opaque', chatgpt_account_id: 'account-1' };
  scene.emulator.addFault({ path: TOKEN, body });
  // The backend does not know that token.
  scene.emulator.addFault({ path: MODELS, status: 200, body: {} });
  t.equal((await getModels(scene)).status, 200);
  t.strictSame(scene.time.delays, []);
  t.equal((await getModels(scene)).status, 200, 'the refusal led to a token that works');
});

t.test('what is set by half, or wrong, is named', async (t) => {
  const cases: [change: (env: Record<string, string>) => void, problem: RegExp][] = [
    [
      (env) => delete env[RULE],
      /OPENAI_IDENTITY_TOKEN_FILE is set, but not OPENAI_FEDERATION_RULE_ID/,
    ],
    [
      (env) => delete env[IDENTITY],
      /OPENAI_FEDERATION_RULE_ID is set, but not OPENAI_IDENTITY_TOKEN_FILE/,
    ],
    [
      (env) => Object.assign(env, { [IDENTITY]: 'token' }),
      /OPENAI_IDENTITY_TOKEN_FILE must be an absolute path/,
    ],
    [
      (env) => Object.assign(env, { OPENAI_IDENTITY_TOKEN_SOURCE: 'spiffe' }),
      /OPENAI_IDENTITY_TOKEN_SOURCE must be/,
    ],
    [(env) => Object.assign(env, { [RULE]: 'a b' }), /OPENAI_FEDERATION_RULE_ID: holds a space/],
    [(env) => rmSync(String(env[IDENTITY])), /OPENAI_IDENTITY_TOKEN_FILE/],
    [(env) => writeFileSync(String(env[IDENTITY]), ''), /OPENAI_IDENTITY_TOKEN_FILE.* is empty/],
    [
      (env) => writeFileSync(String(env[IDENTITY]), 'a\nb\n'),
      /OPENAI_IDENTITY_TOKEN_FILE.*more than one line/,
    ],
  ];
  for (const [change, problem] of cases) {
    const { scene, env } = await startWorkload(t);
    change(env);
    const refused = await getModels(scene);
    t.equal(refused.status, 400);
    t.match(refused.text, problem);
    t.equal(scene.count(TOKEN), 0, 'nothing was sent');
  }
});

t.test('it comes after a token of the environment, and before a stored login', async (t) => {
  const { scene, env } = await startWorkload(t, {
    authJson: (emulator) => emulator.issueLogin().authJson,
  });
  await scene.sidecar.reload();
  t.equal((await scene.status()).authMode, 'workloadIdentity');
  env.CODEX_ACCESS_TOKEN = scene.emulator.issuePersonalAccessToken();
  await scene.sidecar.reload();
  t.equal((await scene.status()).authMode, 'personalAccessToken');
});

t.test('a form of identity that a workload cannot have is refused', async (t) => {
  const { scene } = await startWorkload(t, {
    config: {
      agentIdentity: { policy: 'chatgptAuth', form: 'runtimeInstance', headers: 'assertionOnly' },
    },
  });
  const refused = await infer(scene);
  t.equal(refused.status, 400);
  t.match(refused.text, /agentIdentity\.form.*workload identity/);
});
