import type { EmulatorRecord } from '../../../src/emulator/index.ts';
import type { CodexRun } from '../codex.ts';
import { originOf } from './request-facts.ts';
import type { Stage } from './stage.ts';

const INFERENCE = /\/responses(?:\/compact)?$/;
const ROUTING = '/wham/accounts/check';

/**
 * Adds where the requests of a stage went, and with which credential.
 * @param subject how Codex was started
 */
export function addDestinations(stage: Stage, subject: string, run: CodexRun): void {
  const { book, sidecarHost, place, backend } = stage;
  const reached = new Set<string>();
  for (const record of backend.records) {
    const [path = ''] = record.path.split('?', 1);
    const origin = originOf(record, sidecarHost);
    reached.add(origin);
    const what = INFERENCE.test(path) ? 'inference' : path.endsWith(ROUTING) ? ROUTING : 'others';
    book.add('destinations', subject, `${what} at ${origin} with ${credentialOf(record, stage)}`);
  }
  for (const name of place.names) {
    if (!reached.has(`https://${name}`)) book.add('destinations', subject, `looks up ${name}`);
  }
  if (run.code !== 0) book.add('destinations', subject, 'fails');
}

function credentialOf({ headers }: EmulatorRecord, { tokens }: Stage): string {
  const { authorization } = headers;
  if (authorization === undefined) return 'no credential';
  const [scheme, token = ''] = authorization.split(' ', 2);
  return tokens.get(token) ?? `another ${scheme}`;
}
