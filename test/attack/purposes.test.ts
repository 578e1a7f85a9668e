import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PURPOSES } from '../../src/clients/client-tokens.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { DEFAULT_ROUTES } from '../../src/proxy/routes.ts';
import { send } from '../helpers/exchange.ts';
import { makeFolder, startTestSidecar } from '../helpers/sidecar.ts';

const FAMILIES: [path: string, method: string, reachedBy: string[]][] = [
  ['/backend-api/codex/responses', 'POST', ['inference', 'codex', 'all']],
  ['/backend-api/codex/responses/compact', 'POST', ['inference', 'codex', 'all']],
  ['/backend-api/codex/models', 'GET', ['inference', 'codex', 'all']],
  ['/backend-api/codex/alpha/search', 'POST', ['codex', 'all']],
  ['/backend-api/codex/images/generations', 'POST', ['codex', 'all']],
  ['/backend-api/wham/usage', 'GET', ['codex', 'all']],
  ['/backend-api/wham/agent-identities/jwks', 'GET', ['codex', 'all']],
  ['/backend-api/ps/mcp', 'POST', ['codex', 'all']],
  ['/backend-api/plugins/featured', 'GET', ['codex', 'all']],
  ['/backend-api/connectors/directory/list', 'GET', ['codex', 'all']],
  ['/backend-api/files', 'POST', ['codex', 'all']],
  ['/auth/reload', 'POST', ['all']],
  ['/backend-api/wham/remote/control/start', 'POST', []],
  ['/backend-api/me', 'GET', []],
  ['/backend-api/conversations', 'GET', []],
  ['/backend-api/accounts/an-account/settings', 'GET', ['codex', 'all']],
  ['/backend-api/accounts/an-account/settings', 'POST', []],
  ['/backend-api/accounts/an-account/settings/more', 'GET', []],
  ['/backend-api/accounts/an-account', 'GET', []],
  ['/backend-api/accounts/check', 'GET', []],
  ['/backend-api', 'GET', []],
];

t.test('each purpose reaches its own paths and gets 403 on every other', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const tokensFile = join(await makeFolder(t), 'tokens');
  const line = (name: string, limit: string) =>
    `${name}:${createHash('sha256').update(`token of ${name}`).digest('hex')}${limit}\n`;
  const lines = Object.keys(PURPOSES).map((name) => line(name, ` for=${name}`));
  await writeFile(tokensFile, [...lines, line('all', '')].join(''));
  const { url } = await startTestSidecar(t, {
    authJson: emulator.issueLogin().authJson,
    config: { clients: { tokensFile }, upstream: { ...emulator.upstream, proxy: null } },
  });
  for (const [path, method, reachedBy] of FAMILIES) {
    for (const name of [...Object.keys(PURPOSES), 'all']) {
      const { status, headers } = await send(url + path, {
        method,
        headers: { 'x-sidecar-token': `token of ${name}` },
      });
      const denied = headers['x-sidecar-error'] === 'AUTH_ROUTE_DENIED';
      t.equal(denied, !reachedBy.includes(name), `${name}: ${method} ${path} (${status})`);
      if (denied) t.equal(status, 403);
    }
  }
});

t.test('the default routes and the purpose of Codex name the same families', async (t) => {
  const families = DEFAULT_ROUTES.filter(({ path, auth }) => path.includes('*') && auth !== 'deny');
  t.strictSame(
    families.map(({ path }) => path),
    [...PURPOSES.codex],
  );
});
