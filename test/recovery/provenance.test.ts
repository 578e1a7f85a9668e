import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import { startRecordingServer } from '../helpers/recording-server.ts';
import { runProgram } from '../helpers/recovery-program.ts';
import {
  ask,
  getModels,
  MODELS,
  startSidecarWithClock,
  TOKEN,
} from '../helpers/sidecar-with-clock.ts';

const ISSUER = 'https://auth.openai.com';

/** A login that says where it came from, as Codex writes one. */
function loginFrom(issuer: string, clientId = 'app_other') {
  return (emulator: Emulator) => {
    const { authJson } = emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
    const origin = { issuer, client_id: clientId };
    const tokens = { ...authJson.tokens, oauth_provenance: origin, login_owner_id: 'owner' };
    return { ...authJson, tokens };
  };
}

/** What the token endpoint was sent last. */
const refreshOf = ({ records }: Emulator) => records.findLast(({ path }) => path === TOKEN)?.body;

for (const issuer of [ISSUER, `${ISSUER}/`]) {
  t.test(`a login of ${issuer} is refreshed as the client that it was issued to`, async (t) => {
    const scene = await startSidecarWithClock(t, { authJson: loginFrom(issuer) });
    scene.emulator.expireAccessTokens();
    t.equal((await getModels(scene)).status, 200);
    t.match(refreshOf(scene.emulator), {
      client_id: 'app_other',
      refresh_reason: 'unauthorized_recovery',
    });
    t.match(scene.home.read().tokens, {
      oauth_provenance: { issuer, client_id: 'app_other' },
      login_owner_id: 'owner',
    });
  });
}

t.test('an expired token is refreshed for that reason, by the default client', async (t) => {
  const scene = await startSidecarWithClock(t, { emulator: { accessTokenLifetimeSeconds: 60 } });
  scene.time.advance(61_000);
  t.equal((await getModels(scene)).status, 200);
  t.match(refreshOf(scene.emulator), {
    client_id: 'app_EMoamEEZ73f0CkXaXp7hrann',
    refresh_reason: 'proactive_expiry',
  });
});

t.test(
  'without endpoints of their own, tokens are refreshed at the configured issuer',
  async (t) => {
    const scene = await startSidecarWithClock(t, {
      emulator: { accessTokenLifetimeSeconds: 60 },
      authJson: (emulator) => loginFrom(emulator.url, 'app_mine')(emulator),
      config: { upstream: { oauthTokenUrl: null } },
    });
    scene.time.advance(61_000);
    t.equal((await getModels(scene)).status, 200);
    t.match(refreshOf(scene.emulator), { client_id: 'app_mine' });
  },
);

t.test('no token goes to an issuer that a file names', async (t) => {
  const foreign = await startRecordingServer(t, 'close');
  const scene = await startSidecarWithClock(t, {
    emulator: { accessTokenLifetimeSeconds: 60 },
    authJson: loginFrom(foreign.url),
    config: { upstream: { oauthTokenUrl: null, oauthRevokeUrl: null } },
  });
  scene.time.advance(61_000);
  const { status, code, text } = await ask(scene.url + MODELS);
  t.equal(status, 400);
  t.equal(code, 'AUTH_CREDENTIAL_INVALID');
  t.match(text, 'auth.json tokens.oauth_provenance.issuer: is neither upstream.oauthIssuer');

  const config = join(scene.home.folder, 'config.json');
  const upstream = { chatgptBaseUrl: scene.emulator.upstream.chatgptBaseUrl, proxy: null };
  writeFileSync(config, JSON.stringify({ codexHome: scene.home.folder, upstream }));
  const logout = await runProgram(['logout', '--revoke', '--config', config], {});
  t.equal(logout.code, 1);
  t.match(logout.stderr, 'oauth_provenance.issuer');
  const doctor = await runProgram(['doctor', '--config', config], {});
  t.match(doctor.stdout + doctor.stderr, 'oauth_provenance.issuer');
  t.equal(foreign.requests.length, 0);
  t.equal(scene.count(TOKEN), 0);
});

t.test('an odd provenance is refused by name', async (t) => {
  const cases: [unknown, RegExp][] = [
    ['x', /oauth_provenance: must be an object|oauth_provenance must be an object/],
    [{ client_id: 'a' }, /oauth_provenance\.issuer.*is missing/],
    [{ issuer: ISSUER }, /oauth_provenance\.client_id.*is missing/],
    [{ issuer: ISSUER, client_id: 7 }, /oauth_provenance\.client_id.*must be a string/],
  ];
  for (const [origin, message] of cases) {
    const scene = await startSidecarWithClock(t, {
      authJson: (emulator) => {
        const { authJson } = emulator.issueLogin();
        return { ...authJson, tokens: { ...authJson.tokens, oauth_provenance: origin } };
      },
    });
    const { code, text } = await getModels(scene);
    t.equal(code, 'AUTH_CREDENTIAL_INVALID');
    t.match(text, message);
  }
});
