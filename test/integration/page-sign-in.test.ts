import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { nothing } from '../helpers/credentials.ts';
import { EventStream } from '../helpers/event-stream.ts';
import { localError, send } from '../helpers/exchange.ts';
import {
  MODELS,
  type SidecarWithEmulator,
  type SidecarWithEmulatorOptions,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';

const isUsercode = ({ path }: { path: string }) => path.endsWith('/deviceauth/usercode');

async function setUp(t: Test, options: SidecarWithEmulatorOptions = { credential: nothing }) {
  const sidecar = await startSidecarWithEmulator(t, options);
  sidecar.emulator.settings.deviceIntervalSeconds = 1;
  await untilStatus(sidecar.url, ({ status }) => status !== 'starting');
  return { ...sidecar, ask: (method = 'POST') => ask(sidecar.url, method) };
}

/** What a browser sends for the page. */
function ask(url: string, method: string) {
  const headers = {
    origin: url,
    'sec-fetch-site': 'same-origin',
    'content-type': 'application/json',
    'content-length': 0,
  };
  return send(`${url}/auth/sign-in`, { method, headers });
}

const stored = ({ codexHome }: SidecarWithEmulator) =>
  readFile(join(codexHome, 'auth.json'), 'utf8').catch(() => null);

t.test('a sidecar without a login is signed in, and uses the login at once', async (t) => {
  const scene = await setUp(t);
  const events = await EventStream.open(t, scene.url);
  t.strictSame(await events.next('sign-in'), { state: 'none', reason: null, offered: true });
  const { status, headers, text } = await scene.ask();
  t.equal(status, 202);
  t.equal(headers['cache-control'], 'no-store');
  const { userCode, ...begun } = JSON.parse(text);
  t.match(begun, { state: 'waiting', verificationUrl: `${scene.emulator.url}/codex/device` });
  t.ok(begun.secondsLeft > 800 && begun.secondsLeft <= 900, begun.secondsLeft);
  await events.next('sign-in', ({ state }) => state === 'waiting');
  scene.emulator.decideDeviceLogin(userCode, { accountId: 'account-1' });
  t.strictSame(await events.next('sign-in', ({ state }) => state === 'none'), {
    state: 'none',
    reason: null,
    offered: false,
  });
  t.notMatch(events.text, userCode, 'others who read the events could type it first');
  t.equal((await send(scene.url + MODELS)).status, 200);
  t.match(JSON.parse((await stored(scene)) ?? ''), { tokens: { account_id: 'account-1' } });
  const log = scene.log.join('');
  t.match(log, 'signed in from the status page');
  t.notMatch(log, userCode, 'the code is for the page only');
  localError(t, await scene.ask(), 403, 'AUTH_ROUTE_DENIED');
  t.equal(scene.emulator.records.filter(isUsercode).length, 1);
});

t.test('two that ask at once get one attempt, and so does a third', async (t) => {
  const scene = await setUp(t);
  const [one, two] = await Promise.all([scene.ask(), scene.ask()]);
  const three = await scene.ask();
  const code = JSON.parse(one.text).userCode;
  t.type(code, 'string');
  for (const { status, text } of [one, two, three]) {
    t.equal(status, 202);
    t.equal(JSON.parse(text).userCode, code);
  }
  t.equal(scene.emulator.records.filter(isUsercode).length, 1);
});

t.test('it can be cancelled, and begun again', async (t) => {
  const scene = await setUp(t);
  const { userCode } = JSON.parse((await scene.ask()).text);
  const cancelled = await scene.ask('DELETE');
  t.equal(cancelled.status, 200);
  t.strictSame(JSON.parse(cancelled.text), { state: 'none' });
  const again = JSON.parse((await scene.ask()).text);
  t.equal(again.state, 'waiting');
  t.not(again.userCode, userCode);
  scene.emulator.decideDeviceLogin(userCode, { accountId: 'of-the-cancelled' });
  scene.emulator.decideDeviceLogin(again.userCode, { accountId: 'of-the-second' });
  await untilStatus(scene.url, ({ status }) => status === 'ready');
  t.match(await stored(scene), '"of-the-second"');
});

t.test('it ends when it is denied, when its code does, and when none is given', async (t) => {
  const scene = await setUp(t);
  const events = await EventStream.open(t, scene.url);
  const failed = () => events.next('sign-in', ({ state }) => state === 'failed');
  const { userCode } = JSON.parse((await scene.ask()).text);
  scene.emulator.decideDeviceLogin(userCode, 'denied');
  t.match(await failed(), { reason: /denied on the page/, offered: true });
  scene.emulator.settings.deviceCodeSeconds = 1;
  t.equal((await scene.ask()).status, 202);
  t.match(await failed(), { reason: /the code has expired/ });
  scene.emulator.settings.deviceLogin = false;
  const { status, text } = await scene.ask();
  t.equal(status, 409);
  t.match(JSON.parse(text), { state: 'failed', reason: /not enabled at/ });
  t.match(scene.log.join(''), 'the sign-in from the status page failed: ');
  t.equal(await stored(scene), null);
});

const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };

/** A sidecar whose login has ended for good. */
async function setUpOver(t: Test) {
  const scene = await setUp(t, {
    credential: (emulator) => ({ authJson: emulator.issueLogin(ACCOUNT).authJson }),
  });
  localError(t, await scene.ask(), 403, 'AUTH_ROUTE_DENIED');
  scene.emulator.expireAccessTokens();
  const body = JSON.stringify({ error: { code: 'refresh_token_expired' } });
  scene.emulator.addFault({ path: '/oauth/token', status: 401, body });
  t.equal((await send(scene.url + MODELS)).status, 401);
  return scene;
}

t.test('a login that is over is replaced by one of its account', async (t) => {
  const scene = await setUpOver(t);
  const events = await EventStream.open(t, scene.url);
  t.match(await events.next('sign-in'), { offered: true });
  const { userCode } = JSON.parse((await scene.ask()).text);
  scene.emulator.decideDeviceLogin(userCode, ACCOUNT);
  await events.next('sign-in', ({ offered, state }) => !offered && state === 'none');
  t.equal((await send(scene.url + MODELS)).status, 200);
});

t.test('and never by one of another account', async (t) => {
  const scene = await setUpOver(t);
  const before = await stored(scene);
  const events = await EventStream.open(t, scene.url);
  const { userCode } = JSON.parse((await scene.ask()).text);
  scene.emulator.decideDeviceLogin(userCode, { accountId: 'account-2', userId: 'user-2' });
  const { reason } = await events.next('sign-in', ({ state }) => state === 'failed');
  t.match(reason, /holds another credential, which stays; use .* --replace/);
  t.equal(await stored(scene), before);
  await scene.emulator.waitFor(({ path }) => path === '/oauth/revoke');
});

t.test('not where the environment has a credential, good or bad', async (t) => {
  for (const key of ['sk-test-of-page', '"sk-in-quotes"']) {
    const scene = await setUp(t, { credential: () => ({ env: { CODEX_API_KEY: key } }) });
    const refused = await scene.ask();
    localError(t, refused, 403, 'AUTH_ROUTE_DENIED');
    t.match(refused.text, 'CODEX_API_KEY');
    t.equal(scene.emulator.records.filter(isUsercode).length, 0);
  }
});

t.test('a file that cannot be read as a credential stays', async (t) => {
  const scene = await setUp(t);
  await writeFile(join(scene.codexHome, 'auth.json'), '{');
  await untilStatus(scene.url, ({ status }) => status === 'failed');
  localError(t, await scene.ask(), 403, 'AUTH_ROUTE_DENIED');
  t.equal(await stored(scene), '{');
});

t.test('a stop ends it', async (t) => {
  const scene = await setUp(t);
  t.equal((await scene.ask()).status, 202);
  await scene.sidecar.stop();
  t.match(scene.log.join(''), 'the sign-in from the status page was cancelled');
  t.equal(await stored(scene), null);
});
