import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  ask,
  getModels,
  Home,
  infer,
  MODELS,
  startSidecarWithClock,
  TOKEN,
  times,
} from '../helpers/sidecar-with-clock.ts';

t.test('an API key goes to the OpenAI API, and only model routes exist', async (t) => {
  const scene = await startSidecarWithClock(t, {
    authJson: () => null,
    env: (emulator) => ({ CODEX_API_KEY: emulator.issueApiKey() }),
  });
  t.equal((await infer(scene)).status, 200);
  t.equal((await ask(`${scene.url}${MODELS}?client_version=1`)).status, 200);
  const { records } = scene.emulator;
  t.strictSame(
    records.map(({ path }) => path),
    ['/v1/responses', '/v1/models?client_version=1'],
  );
  for (const { headers } of records) {
    t.notOk('chatgpt-account-id' in headers || 'x-openai-fedramp' in headers);
  }
  for (const path of [
    '/backend-api/wham/usage',
    '/backend-api/codex',
    '/backend-api/codexy/models',
  ]) {
    const refused = await ask(scene.url + path);
    t.equal(refused.status, 403);
    t.equal(refused.code, 'AUTH_ROUTE_DENIED');
  }
  const { authMode, upstream, usesCodexBackend } = await scene.status();
  t.strictSame(
    [authMode, upstream.origin, usesCodexBackend],
    ['apikey', scene.emulator.url, false],
  );
});

t.test(
  'a personal access token: whoami once, account and FedRAMP headers, no refresh',
  async (t) => {
    const scene = await startSidecarWithClock(t, {
      authJson: () => null,
      env: (emulator) => ({
        CODEX_ACCESS_TOKEN: emulator.issuePersonalAccessToken({
          accountId: 'account-1',
          fedramp: true,
          planType: 'team',
        }),
      }),
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => infer(scene)));
    t.ok(answers.every(({ status }) => status === 200));
    t.equal(scene.count('/whoami'), 1);
    const { records } = scene.emulator;
    const served = records.filter(({ path }) => !path.endsWith('/whoami'));
    for (const { headers, auth } of served) {
      t.match(headers, { 'chatgpt-account-id': 'account-1', 'x-openai-fedramp': 'true' });
      t.equal(auth.kind, 'bearer');
    }
    t.equal((await scene.status()).planType, 'team');
    scene.emulator.addFault({ path: MODELS, status: 401, body: { detail: 'No' } });
    const refused = await getModels(scene);
    t.equal(refused.status, 401, 'passes on');
    t.equal(scene.count(MODELS), 1, 'not sent again');
    t.equal(scene.count(TOKEN), 0);
    t.match((await scene.status()).bearer.lastError, /refused/);
  },
);

for (const kind of ['CODEX_ACCESS_TOKEN', 'CODEX_API_KEY'] as const) {
  t.test(`a refused ${kind}_FILE is read again`, async (t) => {
    const home = new Home(t);
    const path = join(home.folder, 'mounted');
    let issue = () => '';
    const scene = await startSidecarWithClock(t, {
      authJson: () => null,
      env: (emulator) => {
        const account = { accountId: 'account-1' };
        issue = () =>
          kind === 'CODEX_API_KEY'
            ? emulator.issueApiKey()
            : emulator.issuePersonalAccessToken(account);
        writeFileSync(path, issue());
        return { [`${kind}_FILE`]: path };
      },
    });
    t.equal((await infer(scene)).status, 200);
    await ask(`${scene.emulator.url}/oauth/revoke`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: readFileSync(path, 'utf8') }),
    });
    t.equal((await infer(scene)).status, 401, 'the file holds the old one');
    writeFileSync(path, issue());
    t.equal((await infer(scene)).status, 401, 'and is not read for each refusal');
    scene.time.advance(10_000);
    const answers = await times(10, () => infer(scene));
    t.ok(answers.every(({ status }) => status === 200));
    t.equal((await scene.status()).status, 'ready');
    t.equal(scene.log.filter((line) => line.includes('credential loaded')).length, 2);
  });
}

t.test('a personal access token that was over at the start is read again', async (t) => {
  const home = new Home(t);
  const path = join(home.folder, 'mounted');
  writeFileSync(path, 'at-ended');
  const scene = await startSidecarWithClock(t, {
    authJson: () => null,
    env: () => ({ CODEX_ACCESS_TOKEN_FILE: path }),
  });
  t.equal((await infer(scene)).code, 'AUTH_CREDENTIAL_INVALID');
  writeFileSync(path, scene.emulator.issuePersonalAccessToken({ accountId: 'account-1' }));
  scene.time.advance(10_000);
  t.equal((await infer(scene)).status, 200);
});

t.test(
  'a personal access token that whoami refuses, and one that it cannot judge now',
  async (t) => {
    const scene = await startSidecarWithClock(t, {
      authJson: () => null,
      env: () => ({ CODEX_ACCESS_TOKEN: 'at-unknown' }),
    });
    const refused = await getModels(scene);
    t.equal(refused.code, 'AUTH_CREDENTIAL_INVALID');
    t.match(refused.text, 'CODEX_ACCESS_TOKEN: AuthAPI refused the token (401)');
    t.equal((await getModels(scene)).code, 'AUTH_CREDENTIAL_INVALID');
    t.equal(scene.count('/whoami'), 1, 'there is a pause');
    scene.time.advance(10_000);
    scene.emulator.addFault({ path: '/api/accounts/*', status: 503 });
    const later = await getModels(scene);
    t.equal(later.code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.equal(later.headers.get('retry-after'), '20', 'the second failure in a row');
    t.equal((await scene.status()).status, 'failed');
  },
);
