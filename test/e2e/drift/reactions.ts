import type { EmulatorRecord } from '../../../src/emulator/index.ts';
import { configure } from './prepare.ts';
import { RESPONSES, type Stage } from './stage.ts';
import { TURN } from './turns.ts';

/** A response to inference that is not a success. */
export interface Refusal {
  name: string;
  status: number;
  upgrade: boolean;
  code: string;
}

const STATUSES = {
  request: [400, 401, 403, 404, 429, 500, 503],
  upgrade: [400, 401, 403, 426, 429, 503],
};

export const REFUSALS: readonly Refusal[] = [
  ...STATUSES.request.map((status) => refusal(status, false)),
  { ...refusal(429, false, 'usage_limit_reached'), name: '429 usage_limit_reached to a request' },
  ...STATUSES.upgrade.map((status) => refusal(status, true)),
];

function refusal(status: number, upgrade: boolean, code = 'refused'): Refusal {
  const name = `${status} to ${upgrade ? 'an upgrade' : 'a request'}`;
  return { name, status, upgrade, code };
}

/** Refuses inference for good, and adds how often Codex tries and what its user reads in the end. */
export async function refuseInference(stage: Stage, refusal: Refusal): Promise<void> {
  const { name, status, upgrade, code } = refusal;
  const { accessToken } = stage.backend.issueLogin();
  const configuration = { provider: 'custom', pointed: ['model'] } as const;
  await configure(stage, configuration, accessToken, { webSockets: upgrade });
  const body = { error: { message: 'refused by the drift check', type: code, code } };
  stage.backend.addFault({ path: RESPONSES, upgrade, times: 0, status, body });
  const run = await stage.codex(TURN);
  const tries = stage.backend.records.filter((record) => isRefused(record, refusal)).length;
  const end = run.code === 0 ? 'the turn is finished over HTTP' : lastError(run.stderr, stage);
  stage.book.add('reactions', name, `${tries} ${tries === 1 ? 'try' : 'tries'}, then: ${end}`);
}

function isRefused({ path, status, transport }: EmulatorRecord, refusal: Refusal): boolean {
  const isUpgrade = transport === 'websocket';
  return path === RESPONSES && status === refusal.status && isUpgrade === refusal.upgrade;
}

function lastError(text: string, { sidecarHost }: Stage): string {
  const found = text
    .match(/^ERROR: .*$/gm)
    ?.at(-1)
    ?.replace('ERROR: ', '');
  if (found === undefined) return 'no error is shown';
  // Of the response to an upgrade the client reads only what came along with the head.
  if (found === '' || found.startsWith('{')) return 'the body is shown';
  return found
    .replaceAll(sidecarHost, 'sidecar')
    .replaceAll(/request id: [\w-]+/g, 'request id: {id}');
}
