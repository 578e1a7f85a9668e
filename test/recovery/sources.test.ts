import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  getModels,
  Home,
  infer,
  type SidecarWithClock,
  startSidecarWithClock,
} from '../helpers/sidecar-with-clock.ts';

/** The credential that a sidecar with this environment and file ends up with. */
async function found(scene: SidecarWithClock): Promise<[mode: string | null, from: string | null]> {
  for (;;) {
    const { status, authMode, credentialSource } = await scene.status();
    if (status !== 'starting') return [authMode, credentialSource];
  }
}

const claims = (emulator: Emulator) =>
  JSON.parse(
    Buffer.from(emulator.issueIdentityToken().split('.')[1] ?? '', 'base64url').toString(),
  ) as Record<string, unknown>;

const FILES: [name: string, expected: string, content: (emulator: Emulator) => object][] = [
  ['a login', 'chatgpt', (emulator) => emulator.issueLogin().authJson],
  [
    'a login without auth_mode',
    'chatgpt',
    (emulator) => ({ ...emulator.issueLogin().authJson, auth_mode: undefined }),
  ],
  [
    'external tokens',
    'chatgptAuthTokens',
    (emulator) => ({ ...emulator.issueLogin().authJson, auth_mode: 'chatgptAuthTokens' }),
  ],
  [
    'an API key',
    'apikey',
    (emulator) => ({ auth_mode: 'apikey', OPENAI_API_KEY: emulator.issueApiKey() }),
  ],
  [
    'an API key without auth_mode',
    'apikey',
    (emulator) => ({
      ...emulator.issueLogin().authJson,
      auth_mode: undefined,
      OPENAI_API_KEY: ` ${emulator.issueApiKey()}\n`,
    }),
  ],
  [
    'a personal access token',
    'personalAccessToken',
    (emulator) => ({
      auth_mode: 'personalAccessToken',
      personal_access_token: emulator.issuePersonalAccessToken(),
    }),
  ],
  [
    'a personal access token without auth_mode',
    'personalAccessToken',
    (emulator) => ({
      OPENAI_API_KEY: 'sk',
      personal_access_token: emulator.issuePersonalAccessToken(),
    }),
  ],
  [
    'a JWT',
    'agentIdentity',
    (emulator) => ({ auth_mode: 'agentIdentity', agent_identity: emulator.issueIdentityToken() }),
  ],
  [
    'a JWT without auth_mode',
    'agentIdentity',
    (emulator) => ({ agent_identity: emulator.issueIdentityToken() }),
  ],
  [
    'a record alone',
    'agentIdentity',
    (emulator) => ({ auth_mode: 'agentIdentity', agent_identity: claims(emulator) }),
  ],
];

for (const [name, mode, content] of FILES) {
  t.test(`auth.json with ${name}`, async (t) => {
    const scene = await startSidecarWithClock(t, { authJson: content });
    t.equal((await infer(scene)).status, 200);
    t.strictSame(await found(scene), [mode, 'auth.json']);
  });
}

t.test('the environment wins over the file, in the order of Codex', async (t) => {
  const pat = (emulator: Emulator) => `  ${emulator.issuePersonalAccessToken()}\n`;
  const steps: [
    expected: string,
    from: string,
    env: (emulator: Emulator) => Record<string, string>,
  ][] = [
    [
      'apikey',
      'CODEX_API_KEY',
      (e) => ({
        CODEX_API_KEY: ` ${e.issueApiKey()} `,
        CODEX_ACCESS_TOKEN: pat(e),
        CODEX_AGENT_IDENTITY: 'x',
      }),
    ],
    [
      'personalAccessToken',
      'CODEX_ACCESS_TOKEN',
      (e) => ({ CODEX_API_KEY: ' ', CODEX_ACCESS_TOKEN: pat(e), CODEX_AGENT_IDENTITY: 'x' }),
    ],
    [
      'agentIdentity',
      'CODEX_ACCESS_TOKEN',
      (e) => ({ CODEX_ACCESS_TOKEN: e.issueIdentityToken() }),
    ],
    [
      'agentIdentity',
      'CODEX_AGENT_IDENTITY',
      (e) => ({ CODEX_ACCESS_TOKEN: '', CODEX_AGENT_IDENTITY: e.issueIdentityToken() }),
    ],
    ['chatgpt', 'auth.json', () => ({ CODEX_API_KEY: '', CODEX_ACCESS_TOKEN: '\n' })],
  ];
  for (const [mode, from, env] of steps) {
    const scene = await startSidecarWithClock(t, { env });
    t.equal((await infer(scene)).status, 200, from);
    t.strictSame(await found(scene), [mode, from]);
  }
});

t.test('a *_FILE variable is read again at every reload', async (t) => {
  const home = new Home(t);
  const path = join(home.folder, 'secret');
  writeFileSync(path, 'not-a-key\n');
  const scene = await startSidecarWithClock(t, {
    home,
    authJson: () => null,
    env: () => ({ CODEX_API_KEY_FILE: path }),
  });
  t.equal((await getModels(scene)).status, 401);
  writeFileSync(path, `${scene.emulator.issueApiKey()}\n`);
  await scene.sidecar.reload();
  t.equal((await getModels(scene)).status, 200);
  t.strictSame(await found(scene), ['apikey', 'CODEX_API_KEY']);
  writeFileSync(path, '\n');
  await t.rejects(scene.sidecar.reload(), { code: 'AUTH_NOT_CONFIGURED' });
  t.equal((await getModels(scene)).code, 'AUTH_NOT_CONFIGURED', 'empty is unset');
});

t.test('a variable and its *_FILE at once', async (t) => {
  const env = () => ({ CODEX_API_KEY: 'a', CODEX_API_KEY_FILE: '/b' });
  const scene = await startSidecarWithClock(t, { env });
  const answer = await getModels(scene);
  t.equal(answer.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(answer.text, 'CODEX_API_KEY and CODEX_API_KEY_FILE are both set');
});

for (const mode of ['bedrockApiKey', 'bedrockAccessKeys', 'headers', 'somethingNew']) {
  t.test(
    `auth_mode ${mode} is refused in words, and does not take a working login away`,
    async (t) => {
      const scene = await startSidecarWithClock(t, {
        authJson: () => ({ auth_mode: mode, OPENAI_API_KEY: 'sk' }),
      });
      const answer = await getModels(scene);
      t.equal(answer.status, 400);
      t.equal(answer.code, 'AUTH_CREDENTIAL_INVALID');
      t.match(JSON.parse(answer.text).error.message, /^auth\.json auth_mode: /);
      const login = scene.emulator.issueLogin().authJson;
      scene.home.write(login);
      await scene.sidecar.reload();
      t.equal((await getModels(scene)).status, 200);
      scene.home.write({ ...login, auth_mode: mode });
      await t.rejects(scene.sidecar.reload(), { code: 'AUTH_CREDENTIAL_INVALID' });
      t.equal((await getModels(scene)).status, 200);
      t.equal((await scene.status()).status, 'degraded');
    },
  );
}

t.test('an emptied file, as after a logout, takes the credential away', async (t) => {
  const scene = await startSidecarWithClock(t);
  t.equal((await getModels(scene)).status, 200);
  scene.home.write({ extra: 1 });
  await t.rejects(scene.sidecar.reload(), { code: 'AUTH_NOT_CONFIGURED' });
  t.equal((await getModels(scene)).code, 'AUTH_NOT_CONFIGURED');
  t.equal((await scene.status()).status, 'unauthenticated');
});
