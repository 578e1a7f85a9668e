import type { EmulatorRecord } from '../../emulator/index.ts';

/** A promise of the README, and whether the records keep it. */
interface Verdict {
  ok: boolean;
  text: string;
}

const RESPONSES = '/backend-api/codex/responses';
const REGISTER_AGENT = /\/v1\/agent\/register$/;
const REGISTER_TASK = /\/task\/register$/;

/** What the backend received, one line per request. */
export function recordTable(records: readonly EmulatorRecord[]): string[] {
  const rows = records.map((record) => [
    record.transport === 'websocket' ? 'WS' : record.method,
    pathOf(record),
    record.auth.kind,
    record.auth.kind === 'none' ? '-' : record.auth.verified ? 'verified' : 'NOT VERIFIED',
    String(record.status ?? '-'),
  ]);
  const table = [['', 'path at the backend', 'credential', 'signature/token', 'status'], ...rows];
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  );
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Compares the records with what the README promises. */
export function checkRecords(records: readonly EmulatorRecord[], clientToken: string): Verdict[] {
  const turns = (method: string, path: string) =>
    records.filter((record) => record.method === method && pathOf(record) === path);
  const verified = (kind: 'assertion' | 'bearer', found: EmulatorRecord[]) =>
    found.length > 0 && found.every(({ auth }) => auth.kind === kind && auth.verified);
  const plain = (record: EmulatorRecord) => record.transport === 'http';
  const socket = (record: EmulatorRecord) => record.transport === 'websocket';
  return [
    {
      ok: count(records, REGISTER_AGENT) === 1 && count(records, REGISTER_TASK) === 1,
      text: 'one agent registration and one task registration, two starts included',
    },
    {
      ok: verified('assertion', turns('POST', RESPONSES).filter(plain)),
      text: `AgentAssertion verified on POST ${RESPONSES}`,
    },
    {
      ok: verified('assertion', turns('POST', `${RESPONSES}/compact`)),
      text: `AgentAssertion verified on POST ${RESPONSES}/compact`,
    },
    {
      ok: verified('assertion', turns('GET', RESPONSES).filter(socket)),
      text: 'AgentAssertion verified on the WebSocket upgrade',
    },
    {
      ok: verified('bearer', turns('GET', '/backend-api/codex/models')),
      text: 'bearer token verified on GET /backend-api/codex/models',
    },
    {
      ok: records.every((record) => !leaksClient(record, clientToken)),
      text: "nothing of the client's authorization, cookie or account header went upstream",
    },
  ];
}

function leaksClient(record: EmulatorRecord, clientToken: string): boolean {
  const text = record.rawHeaders.join('\n');
  return text.includes(clientToken) || text.includes('of-the-client');
}

function count(records: readonly EmulatorRecord[], path: RegExp): number {
  return records.filter((record) => path.test(pathOf(record))).length;
}

function pathOf(record: EmulatorRecord): string {
  return record.path.split('?', 1)[0] ?? '';
}
