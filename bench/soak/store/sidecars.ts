import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { send } from '../../../test/helpers/exchange.ts';
import { makeFile, type Serving, serve, type TestScope } from '../../../test/helpers/program.ts';
import { untilStatus } from '../../../test/helpers/until-status.ts';
import type { Fleet } from '../../../test/store/fleet.ts';

const PATHS = { models: '/backend-api/codex/models', turn: '/backend-api/codex/responses' };
const TURN = { model: 'gpt-x', instructions: '', input: [], store: false, stream: true };
/** Pause of an agent between two requests. */
const PAUSE_MS = 100;

/** Sidecars that use the login of a fleet, as people start them; ready. */
export async function startSidecars(
  t: TestScope,
  fleet: Fleet,
  count: number,
  more: object = {},
): Promise<(Serving & { config: string; env: Record<string, string> })[]> {
  const env = { SIDECAR_STORE_URL_FILE: await makeFile(t, 'url', fleet.postgres.url()) };
  const sidecars = Array.from({ length: count }, async (_, i) => {
    const { keyFile } = fleet;
    const config = await makeFile(t, 'config.json', {
      codexHome: join(keyFile, '..'),
      store: { kind: 'postgres', keyFile, replica: `sidecar-${i}` },
      upstream: { ...fleet.emulator.upstream, proxy: null },
      ...more,
    });
    const serving = await serve(t, ['--config', config], env);
    await untilStatus(serving.url, ({ status }) => status === 'ready');
    return { ...serving, config, env };
  });
  return Promise.all(sidecars);
}

/** One request of an agent. @returns its status, and the error code of a sidecar */
export async function ask(url: string, what: keyof typeof PATHS): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const request = what === 'turn' ? { body: JSON.stringify(TURN), headers } : {};
  return send(url + PATHS[what], request).then(
    ({ status, headers }) => `${status} ${headers['x-sidecar-error'] ?? ''}`.trim(),
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

/** Agents that ask sidecars of a fleet until the result is called, which tells how they were answered. */
export async function agentsOf(t: TestScope, fleet: Fleet, count: number) {
  const sidecars = await startSidecars(t, fleet, count);
  const answers = new Map<string, number>();
  const running = { on: true };
  const agents = sidecars.map(async ({ url }) => {
    while (running.on) {
      const answer = await ask(url, 'models');
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      await sleep(PAUSE_MS);
    }
  });
  return async () => {
    running.on = false;
    await Promise.all(agents);
    const wrong = [...answers].filter(([answer]) => answer !== '200').map(([answer]) => answer);
    return { answers: Object.fromEntries(answers), wrong };
  };
}
