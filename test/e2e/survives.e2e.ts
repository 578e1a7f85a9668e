import t, { type Test } from 'tap';
import type { EmulatorRecord } from '../../src/emulator/index.ts';
import { CODEX_VERSIONS, CodexHome, type CodexVersion, installCodex, isSince } from './codex.ts';
import { type ServeWithEmulator, startServeWithEmulator } from './serve-with-emulator.ts';

const RESPONSES = '/backend-api/codex/responses';
const ANSWER = 'Hello from the emulated backend.';
const EXEC = ['exec', '--skip-git-repo-check', '--ephemeral', 'hi'];

/** One turn of the real CLI through the sidecar, whose backend was told to misbehave before. */
async function takeTurn(
  t: Test,
  version: CodexVersion,
  webSockets: boolean,
  misbehave: (backend: ServeWithEmulator['backend']) => void,
): Promise<readonly EmulatorRecord[]> {
  const program = await installCodex(version);
  const stage = await startServeWithEmulator();
  t.teardown(() => stage.close());
  const { url: baseUrl, clientToken } = stage;
  const home = await CodexHome.create({ baseUrl, clientToken, webSockets });
  t.teardown(() => home.remove());
  misbehave(stage.backend);
  const run = await home.run(program, EXEC);
  t.equal(run.code, 0, run.stderr);
  t.match(run.stdout, ANSWER);
  return stage.backend.records;
}

const statusesOf = (records: readonly EmulatorRecord[], transport: 'http' | 'websocket') =>
  records
    .filter((record) => record.path === RESPONSES && record.transport === transport)
    .map(({ status }) => status);
const registrations = (records: readonly EmulatorRecord[]) =>
  records.filter(({ path }) => path.endsWith('/task/register')).length;

type Survival = [
  name: string,
  webSockets: boolean,
  misbehave: (backend: ServeWithEmulator['backend']) => void,
  check: (t: Test, records: readonly EmulatorRecord[]) => void,
];

const REFUSED = { status: 401, body: { detail: 'Unauthorized' } };

const ALL_VERSIONS: Survival[] = [
  [
    '503 twice, then the backend is back',
    false,
    (backend) => backend.addFault({ path: RESPONSES, status: 503, times: 2, body: {} }),
    (t, records) => {
      t.strictSame(statusesOf(records, 'http'), [503, 503, 200]);
      t.equal(registrations(records), 1, 'an outage touches no credential');
    },
  ],
  [
    'a stream that is cut in the middle',
    false,
    (backend) => backend.addFault({ path: RESPONSES, action: 'cut' }),
    (t, records) => t.strictSame(statusesOf(records, 'http'), [200, 200], 'it asked again'),
  ],
  [
    '401 once on the upgrade',
    true,
    (backend) => backend.addFault({ path: RESPONSES, upgrade: true, ...REFUSED }),
    (t, records) => {
      t.strictSame(statusesOf(records, 'websocket'), [401, 101]);
      t.strictSame(statusesOf(records, 'http'), [], 'no fallback');
      t.equal(registrations(records), 2, 'a new run task');
    },
  ],
];

const NEWER_VERSIONS: Survival[] = [
  [
    '401 once on a POST',
    false,
    (backend) => backend.addFault({ path: RESPONSES, ...REFUSED }),
    (t, records) => {
      t.strictSame(statusesOf(records, 'http'), [401, 200]);
      t.equal(registrations(records), 2, 'a new run task');
    },
  ],
  [
    '503 once on the upgrade',
    true,
    (backend) => backend.addFault({ path: RESPONSES, upgrade: true, status: 503 }),
    (t, records) => {
      t.strictSame(statusesOf(records, 'websocket'), [503, 101]);
      t.equal(registrations(records), 1, 'an outage touches no credential');
    },
  ],
  [
    'a WebSocket that is cut in the middle of a turn',
    true,
    (backend) => backend.addFault({ path: RESPONSES, upgrade: true, action: 'cut' }),
    (t, records) => {
      t.strictSame(statusesOf(records, 'websocket'), [101, 101], 'it dialled again');
      t.strictSame(statusesOf(records, 'http'), [], 'no fallback');
    },
  ],
];

for (const version of CODEX_VERSIONS) {
  const newer = isSince(version, '0.169.0') ? NEWER_VERSIONS : [];
  for (const [name, webSockets, misbehave, check] of [...ALL_VERSIONS, ...newer]) {
    t.test(`Codex ${version} survives: ${name}`, async (t) => {
      check(t, await takeTurn(t, version, webSockets, misbehave));
    });
  }
}
