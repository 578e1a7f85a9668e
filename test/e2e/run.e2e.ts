import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { run } from '../helpers/program.ts';
import { CODEX_VERSIONS, installCodex } from './codex.ts';

const RESPONSES = '/backend-api/codex/responses';
/** Whatever asks it for something is refused; a Codex that took it would not reach the sidecar. */
const DEAD_PROXY = 'http://127.0.0.1:9';

for (const version of CODEX_VERSIONS) {
  t.test(`run -- codex: Codex ${version} finishes a turn and sees no login`, async (t) => {
    const codex = await installCodex(version);
    const backend = await startEmulator();
    t.teardown(() => backend.close());
    backend.settings.bearerOnAssertionRoutes = 'refuse';
    const folder = await mkdtemp(join(tmpdir(), 'sidecar-home-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const { authJson, accessToken } = backend.issueLogin();
    await writeFile(join(folder, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
    const config = join(folder, 'config.json');
    const upstream = { ...backend.upstream, proxy: null };
    const agentIdentity = { policy: 'chatgptAuth' };
    await writeFile(config, JSON.stringify({ agentIdentity, upstream }));
    const options = ['run', '--config', config, '--log-file', join(folder, 'run.log')];
    const { code, stdout, stderr } = await run(
      t,
      [...options, '--isolate-home', '--', codex, 'exec', '--skip-git-repo-check', 'hi'],
      { HOME: folder, CODEX_HOME: folder, HTTP_PROXY: DEAD_PROXY, HTTPS_PROXY: DEAD_PROXY },
    );
    t.equal(code, 0, stderr);
    t.match(stdout, 'Hello from the emulated backend.');
    const turns = backend.records.filter(({ path }) => path.startsWith(RESPONSES));
    t.match(turns, [{ transport: 'websocket', auth: { kind: 'assertion', verified: true } }]);
    const side = backend.records.filter(({ rawHeaders }) =>
      rawHeaders.join().includes(accessToken),
    );
    t.ok(
      side.every(({ path }) => path.startsWith('/api/accounts/')),
      'only the registration carried the login',
    );
  });
}
