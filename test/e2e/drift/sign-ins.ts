import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Configuration, DEFAULT } from './configurations.ts';
import { ACCOUNT, configure, prepare } from './prepare.ts';
import { keyPaths } from './request-facts.ts';
import type { Stage } from './stage.ts';
import { TURN } from './turns.ts';

const USER_CODE = /[A-Z0-9]{4}-[A-Z0-9]{5}/;
const LONG_AGO = '2020-01-01T00:00:00Z';

export async function signInAndOut(stage: Stage): Promise<void> {
  const { backend } = stage;
  backend.settings.deviceIntervalSeconds = 1;
  await stage.codex(['login', '--device-auth'], {
    onLine: (line) => {
      const [code] = USER_CODE.exec(line) ?? [];
      if (code) backend.decideDeviceLogin(code, { accountId: ACCOUNT });
    },
  });
  await addStoredFields(stage, 'after a sign-in');
  await stage.codex(['logout']);
}

/** A login that is old, at the issuer that it names; then one that the backend refuses. */
export async function refresh(stage: Stage, configuration: Configuration): Promise<void> {
  const { authJson } = await prepare(stage, configuration);
  const atSidecar = configuration.pointed.includes('chatgpt');
  const issuer = atSidecar ? stage.url : 'https://auth.openai.com';
  const tokens = {
    ...authJson.tokens,
    access_token: 'opaque, so that its age decides',
    oauth_provenance: { issuer, client_id: 'client-of-the-drift-check' },
  };
  await stage.logIn({ ...authJson, tokens, last_refresh: LONG_AGO });
  await stage.codex(TURN);
  await addStoredFields(stage, 'after a refresh');
  // The provider of the sidecar has a token of its own, which would be refused with the others.
  if (atSidecar) return;
  stage.backend.expireAccessTokens();
  await stage.codex(TURN);
}

export async function identityToken(stage: Stage): Promise<void> {
  await configure(stage, DEFAULT, '');
  stage.slowDown();
  const token = stage.backend.issueIdentityToken({ accountId: ACCOUNT });
  await stage.codex(TURN, { env: { CODEX_ACCESS_TOKEN: token } });
}

/** Both forms of an identity that a ChatGPT login registers. */
export async function registeredIdentity(stage: Stage, feature: string): Promise<void> {
  await prepare(stage, DEFAULT, { lines: [`features.${feature} = true`] });
  await stage.codex(TURN);
  await addStoredFields(stage, `with ${feature}`);
}

export async function personalAccessToken(stage: Stage): Promise<void> {
  await configure(stage, DEFAULT, '');
  stage.slowDown();
  const token = stage.backend.issuePersonalAccessToken({ accountId: ACCOUNT });
  await stage.codex(TURN, { env: { CODEX_ACCESS_TOKEN: token } });
}

export async function workloadIdentity(stage: Stage): Promise<void> {
  await configure(stage, DEFAULT, '');
  stage.slowDown();
  const { ruleId, identityToken } = await stage.backend.issueWorkloadIdentity({
    accountId: ACCOUNT,
  });
  const file = join(stage.home, 'identity-token');
  await writeFile(file, identityToken);
  const env = { OPENAI_FEDERATION_RULE_ID: ruleId, OPENAI_IDENTITY_TOKEN_FILE: file };
  await stage.codex(TURN, { env });
}

async function addStoredFields(stage: Stage, when: string): Promise<void> {
  for (const key of keyPaths(await stage.authJson())) stage.book.add('auth.json', when, key);
}
