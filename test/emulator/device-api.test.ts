import t, { type Test } from 'tap';
import { request } from 'undici';
import type { Emulator } from '../../src/emulator/index.ts';
import { call, start } from './client.ts';

const CLIENT = 'app_test';

async function begin(t: Test) {
  const emulator = await start(t);
  const base = `${emulator.url}/api/accounts/deviceauth`;
  const { body } = await call(`${base}/usercode`, { body: { client_id: CLIENT } });
  const { device_auth_id, user_code } = body as Record<string, string>;
  const poll = () => call(`${base}/token`, { body: { device_auth_id, user_code } });
  return { emulator, code: body, userCode: String(user_code), poll, base };
}

async function form(url: string, fields: Record<string, string>) {
  const response = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  });
  return { status: response.statusCode, text: await response.body.text() };
}

function exchange(emulator: Emulator, authorization: Record<string, unknown>, client = CLIENT) {
  return form(emulator.upstream.oauthTokenUrl, {
    grant_type: 'authorization_code',
    client_id: client,
    code: String(authorization.authorization_code),
    redirect_uri: `${emulator.url}/deviceauth/callback`,
    code_verifier: String(authorization.code_verifier),
  });
}

t.test('a person can sign in on the page', async (t) => {
  const { emulator, code, userCode, poll } = await begin(t);
  t.equal(code.interval, '5', 'a string, as the real server sends it');
  t.equal((await poll()).status, 403);
  t.match((await call(`${emulator.url}/codex/device`)).text, '<button name="decision"');
  const page = `${emulator.url}/codex/device`;
  t.match((await form(page, { user_code: 'WRONG', decision: 'approve' })).text, 'no such code');
  t.match((await poll()).body, { error: { code: 'deviceauth_authorization_pending' } });
  const typed = { user_code: ` ${userCode.toLowerCase()} `, decision: 'approve' };
  t.match((await form(page, typed)).text, 'You are signed in.');
  const { status, body } = await poll();
  t.equal(status, 200);
  const { status: issued, text } = await exchange(emulator, body);
  t.equal(issued, 200, text);
  t.match(JSON.parse(text), { id_token: String, access_token: String, refresh_token: String });
  t.equal((await exchange(emulator, body)).status, 400, 'a code works once');
  t.match((await poll()).body, { error: { code: 'deviceauth_authorization_unknown' } });
});

t.test('refusal, end and a switched-off sign-in are told apart', async (t) => {
  const denied = await begin(t);
  const page = `${denied.emulator.url}/codex/device`;
  t.match((await form(page, { user_code: denied.userCode, decision: 'deny' })).text, 'refused');
  t.match((await denied.poll()).body, { error: { code: 'deviceauth_authorization_denied' } });

  const { emulator, base } = denied;
  emulator.settings.deviceCodeSeconds = 0;
  const { body } = await call(`${base}/usercode`, { body: { client_id: CLIENT } });
  const { device_auth_id, user_code } = body;
  const late = await call(`${base}/token`, { body: { device_auth_id, user_code } });
  t.match(late.body, { error: { code: 'deviceauth_authorization_expired' } });
  emulator.settings.deviceLogin = false;
  t.equal((await call(`${base}/usercode`, { body: { client_id: CLIENT } })).status, 404);
});

t.test('a code is good for the client that began, and so are its refresh tokens', async (t) => {
  const { emulator, userCode, poll } = await begin(t);
  emulator.decideDeviceLogin(userCode);
  t.throws(() => emulator.decideDeviceLogin(userCode), /no such user_code/);
  const { body } = await poll();
  t.equal((await exchange(emulator, body, 'app_other')).status, 400);

  const second = await begin(t);
  second.emulator.decideDeviceLogin(second.userCode, { planType: 'plus' });
  const { text } = await exchange(second.emulator, (await second.poll()).body);
  const { refresh_token } = JSON.parse(text);
  const refresh = (client_id: string) =>
    call(second.emulator.upstream.oauthTokenUrl, {
      body: { client_id, grant_type: 'refresh_token', refresh_token },
    });
  t.equal((await refresh('app_other')).status, 401);
  t.equal((await refresh(CLIENT)).status, 200);
});

t.test('each grant has its own coding', async (t) => {
  const { emulator } = await begin(t);
  const asForm = await form(emulator.upstream.oauthTokenUrl, {
    grant_type: 'refresh_token',
    client_id: CLIENT,
    refresh_token: 'x',
  });
  t.equal(asForm.status, 400);
});
