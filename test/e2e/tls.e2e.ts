import t from 'tap';
import { makeFile } from '../helpers/program.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { CODEX_VERSIONS, CodexHome, installCodex } from './codex.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

const RESPONSES = '/backend-api/codex/responses';
const ANSWER = 'Hello from the emulated backend.';
const EXEC = ['exec', '--skip-git-repo-check', '--ephemeral', 'hi'];

for (const version of CODEX_VERSIONS) {
  for (const webSockets of [true, false]) {
    const over = webSockets ? 'a WebSocket' : 'HTTP';
    t.test(`Codex ${version} takes its turn over TLS, by ${over}`, async (t) => {
      const program = await installCodex(version);
      const tls = await makeTls(t);
      const stage = await startServeWithEmulator({ tls: tls.config });
      t.teardown(() => stage.close());
      t.match(stage.url, /^https:/);
      const { url: baseUrl, clientToken } = stage;
      const home = await CodexHome.create({ baseUrl, clientToken, webSockets });
      t.teardown(() => home.remove());
      const authority = await makeFile(t, 'ca.pem', tls.authority.cert);
      const run = await home.run(program, EXEC, { CODEX_CA_CERTIFICATE: authority });
      t.equal(run.code, 0, run.stderr);
      t.match(run.stdout, ANSWER);
      const turns = stage.backend.records.filter(({ path }) => path === RESPONSES);
      t.strictSame(
        turns.map(({ transport, status }) => [transport, status]),
        [webSockets ? ['websocket', 101] : ['http', 200]],
        'one try, no fallback',
      );
    });
  }
}
