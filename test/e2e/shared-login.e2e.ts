import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Emulator, EmulatorRecord } from '../../src/emulator/index.ts';
import { startTestSidecar } from '../helpers/sidecar.ts';
import { ask, MODELS, TOKEN } from '../helpers/sidecar-with-clock.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { CODEX_VERSIONS, type CodexVersion, isSince } from './codex.ts';
import { startCodexAtOpenAi } from './codex-at-openai.ts';

t.setTimeout(180_000);

const VERSIONS = CODEX_VERSIONS.filter((version) => isSince(version, '0.169.0'));

const ANSWER = 'Hello from the emulated backend.';
const TEN_DAYS_MS = 864_000_000;
/** Codex refreshes a token when it starts with less than five minutes left. */
const LEFT_MS = 200_000;

const byUs = ({ path, headers }: EmulatorRecord) =>
  path === TOKEN && headers['user-agent']?.startsWith('codex-auth-sidecar') === true;
const byCodex = (record: EmulatorRecord) => record.path === TOKEN && !byUs(record);
const refreshes = ({ records }: Emulator) =>
  records.filter(({ path }) => path === TOKEN).map((record) => [byUs(record), record.status]);

/**
 * A Codex and a sidecar with one `auth.json`, whose token ends soon for Codex. The sidecar takes it for
 * one of a few minutes, and would refresh it at half its life.
 */
async function start(t: Test, version: CodexVersion) {
  let early = TEN_DAYS_MS - LEFT_MS;
  const codex = await startCodexAtOpenAi(t, version, {
    emulator: { now: () => Date.now() - early },
    change: (authJson) => ({ ...authJson, last_refresh: new Date().toISOString() }),
  });
  early = 0;
  const { backend, home, authority } = codex;
  const upstream = { ...backend.upstream, proxy: null, caFile: authority };
  const sidecar = await startTestSidecar(t, { codexHome: home.path, config: { upstream } });
  const models = () => ask(sidecar.url + MODELS);
  t.equal((await models()).status, 200);
  return { ...codex, url: sidecar.url, models };
}

type Scene = Awaited<ReturnType<typeof start>>;

/** Both work from now on, with the login that stands in the file. */
async function bothWork(t: Test, { backend, home, url, models, exec }: Scene): Promise<void> {
  backend.settings.refreshResponseDelayMs = 0;
  await untilStatus(url, ({ status }) => status === 'ready');
  const since = backend.records.length;
  t.equal((await models()).status, 200);
  const turn = await exec();
  t.equal(turn.code, 0, turn.stderr);
  t.match(turn.stdout, ANSWER);
  t.notOk(
    backend.records.slice(since).some(({ path }) => path === TOKEN),
    'nobody refreshes again',
  );
  const { tokens } = JSON.parse(await readFile(join(home.path, 'auth.json'), 'utf8'));
  const sent = backend.records.findLast(({ path }) => path === MODELS);
  t.equal(sent?.headers.authorization, `Bearer ${tokens.access_token}`);
}

for (const version of VERSIONS) {
  t.test(`Codex ${version} is first, and the sidecar takes over its tokens`, async (t) => {
    const scene = await start(t, version);
    const { backend, exec, models } = scene;
    backend.settings.refreshResponseDelayMs = 1_000;
    backend.expireAccessTokens();
    const turn = exec();
    await backend.waitFor(byCodex);
    t.equal((await models()).status, 200);
    const { code, stdout, stderr } = await turn;
    t.equal(code, 0, stderr);
    t.match(stdout, ANSWER);
    t.strictSame(refreshes(backend), [
      [false, 200],
      [true, 401],
    ]);
    await bothWork(t, scene);
  });

  t.test(`the sidecar is first, and Codex ${version} takes over its tokens`, async (t) => {
    const scene = await start(t, version);
    const { backend, exec, models } = scene;
    backend.settings.refreshResponseDelayMs = 5_000;
    backend.expireAccessTokens();
    const asked = models();
    await backend.waitFor(byUs);
    const { code, stdout, stderr } = await exec();
    t.equal(code, 0, stderr);
    t.match(stdout, ANSWER);
    t.equal((await asked).status, 200);
    const [ours, ...theirs] = refreshes(backend);
    t.strictSame(ours, [true, 200]);
    // A Codex that starts too late to spend the same token finds the new ones in the file.
    t.ok(theirs.length < 2);
    for (const refresh of theirs) t.strictSame(refresh, [false, 401]);
    await bothWork(t, scene);
  });
}

const newest = VERSIONS.at(-1);
if (newest !== undefined)
  t.test(`Codex ${newest} is first, and our lock does not cost it its tokens`, async (t) => {
    const scene = await start(t, newest);
    const { backend, exec, models } = scene;
    backend.expireAccessTokens();
    backend.settings.refreshResponseDelayMs = 1_000;
    const turn = exec();
    while (backend.counts().refreshUses.size === 0) await setImmediate();
    t.ok(backend.records.some(byCodex));
    // Longer than a Codex that starts waits for the lock.
    backend.settings.refreshResponseDelayMs = 25_000;
    const asked = models();
    const { code, stdout, stderr } = await turn;
    t.equal(code, 0, stderr);
    t.match(stdout, ANSWER);
    await asked;
    await bothWork(t, scene);
  });
