import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { identityToken, loginWithIdentity } from '../helpers/credentials.ts';
import { send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarWithEmulator, startTestSidecar } from '../helpers/sidecar.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const AGENT = /\/v1\/agent\/register$/;
const TASK = /\/v1\/agent\/[^/]+\/task\/register$/;
const JWKS = /\/agent-identities\/jwks$/;

function twentyAtOnce(url: string): Promise<{ status: number }[]> {
  const each = (i: number) =>
    i % 5 === 0 ? tryUpgrade(url + RESPONSES) : send(url + RESPONSES, { method: 'POST' });
  return Promise.all(Array.from({ length: 20 }, (_, i) => each(i)));
}

t.test('twenty requests at a cold start share one agent and one run task', async (t) => {
  const { url, emulator, codexHome } = await startSidecarWithEmulator(t, {
    credential: loginWithIdentity,
  });
  for (const { status } of await twentyAtOnce(url)) t.match(String(status), /^(200|101)$/);
  const count = (path: RegExp) =>
    emulator.records.filter((record) => path.test(record.path)).length;
  t.strictSame([count(AGENT), count(TASK)], [1, 1]);
  const turns = emulator.records.filter(({ path }) => path === RESPONSES);
  t.equal(turns.length, 20);
  t.equal(new Set(turns.map(({ auth }) => auth.taskId)).size, 1);
  t.equal((await stat(join(codexHome, 'auth.json'))).mode & 0o777, 0o600);

  await t.test('and a second start with the same auth.json registers nothing', async (t) => {
    const upstream = { ...emulator.upstream, proxy: null };
    const config = { upstream, agentIdentity: { policy: 'chatgptAuth' } };
    const second = await startTestSidecar(t, { codexHome, config });
    for (const { status } of await twentyAtOnce(second.url)) t.match(String(status), /^(200|101)$/);
    t.strictSame([count(AGENT), count(TASK)], [1, 1]);
    const task = emulator.records.at(-1)?.auth.taskId;
    t.equal(task, turns[0]?.auth.taskId, 'the same run task');
  });
});

t.test('with an Agent Identity JWT they share one key set and one run task', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t, { credential: identityToken });
  for (const { status } of await twentyAtOnce(url)) t.match(String(status), /^(200|101)$/);
  const count = (path: RegExp) =>
    emulator.records.filter((record) => path.test(record.path)).length;
  t.strictSame([count(AGENT), count(TASK), count(JWKS)], [0, 1, 1]);
});
