import { AT_SIDECAR, type Configuration } from './configurations.ts';
import { addDestinations } from './destinations.ts';
import { configure, prepare } from './prepare.ts';
import { RESPONSES, type Stage } from './stage.ts';

const EXEC = ['exec', '--skip-git-repo-check'];
export const TURN = [...EXEC, 'hi'];
const COMPACT_SOON = 'model_auto_compact_token_limit = 5';

export async function turnWithLogin(
  stage: Stage,
  name: string,
  configuration: Configuration,
): Promise<void> {
  await prepare(stage, configuration);
  addDestinations(stage, name, await stage.codex(TURN));
}

export async function turnWithKey(stage: Stage): Promise<void> {
  const key = stage.backend.issueLogin().accessToken;
  await configure(stage, { provider: 'built-in', pointed: ['model'] }, key);
  stage.slowDown();
  const run = await stage.codex(TURN, { env: { CODEX_API_KEY: key } });
  addDestinations(stage, 'CODEX_API_KEY, openai_base_url', run);
}

/** @param switchedOff what `analytics.enabled` is */
export async function turnWithoutLogin(stage: Stage, analytics: boolean): Promise<void> {
  const { accessToken } = stage.backend.issueLogin();
  const lines = [`analytics.enabled = ${analytics}`];
  await configure(stage, { provider: 'custom', pointed: ['model'] }, accessToken, { lines });
  stage.slowDown();
  const name = `custom provider, no login, analytics.enabled = ${analytics}`;
  addDestinations(stage, name, await stage.codex(TURN));
}

/** Where no WebSocket can be had. */
export async function turnOverHttp(stage: Stage, configuration: Configuration): Promise<void> {
  stage.backend.addFault({ path: RESPONSES, upgrade: true, status: 426, times: 0 });
  await prepare(stage, configuration, { webSockets: false });
  await stage.codex(TURN);
}

/** In both ways, of which a Codex may know one. */
export async function compaction(stage: Stage, configuration: Configuration): Promise<void> {
  await prepare(stage, configuration, { lines: [COMPACT_SOON] });
  for (const options of [[], ['--disable', 'remote_compaction_v2']]) {
    await stage.codex([...EXEC, ...options, 'hi']);
    await stage.codex([...EXEC, ...options, 'resume', '--last', 'again']);
  }
}

export async function cloud(stage: Stage): Promise<void> {
  await prepare(stage, AT_SIDECAR);
  addDestinations(stage, 'codex cloud list', await stage.codex(['cloud', 'list']));
}
