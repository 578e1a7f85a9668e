import type { ClientDocument, ClientsDocument } from '../../admin/clients.ts';
import { onOneLine } from '../../base/printable.ts';
import type { AccountLimit } from '../../telemetry/account-limits.ts';

const HEAD = [
  'client',
  'state',
  'requests',
  'open',
  'input',
  'cached',
  'output',
  'unknown',
  'limits',
];
/** Columns of numbers, which end at the same place. */
const NUMBERS = new Set([2, 3, 4, 5, 6, 7]);

/**
 * The lines that `status --clients` prints: what each client took today, and the limits of the account.
 * @param now milliseconds since 1970
 */
export function clientsTable(document: ClientsDocument, now: number): string[] {
  const { clients, accountLimits, usageRead } = document;
  const rows = [HEAD, ...clients.map((client) => clientRow(client, usageRead))];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((text, i) =>
        NUMBERS.has(i) ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return [
    ...lines,
    ...(usageRead ? [] : ['', 'tokens are not counted: usage.enabled is false']),
    ...(accountLimits.length > 0 ? [''] : []),
    ...accountLimits.map((limit) => accountLine(limit, now)),
  ];
}

function clientRow(client: ClientDocument, usageRead: boolean): string[] {
  const { name, state, openStreams, today, limits } = client;
  const { input, cached, output } = today.tokens;
  const counted = [input, cached, output, today.unknown];
  return [
    onOneLine(name ?? '(anyone)'),
    state,
    String(today.requests),
    openStreams === null ? '-' : String(openStreams),
    ...counted.map((count) => (usageRead ? String(count) : '-')),
    limits.map(({ name: limit, limit: most, used }) => `${limit} ${used}/${most}`).join(', '),
  ];
}

function accountLine(account: AccountLimit, now: number): string {
  const { limit, window, usedPercent, windowMinutes, resetsAt } = account;
  const length = windowMinutes === null ? '' : ` (${windowMinutes} min)`;
  const used = usedPercent === null ? 'not known since its reset' : `${usedPercent} % used`;
  const isAhead = resetsAt !== null && Date.parse(resetsAt) > now;
  return `account limit ${onOneLine(limit)}, ${window}${length}: ${used}${isAhead ? `, resets at ${resetsAt}` : ''}`;
}
