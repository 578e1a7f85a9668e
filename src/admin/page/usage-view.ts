import type { AccountLimit } from '../../telemetry/account-limits.ts';
import type { ClientDocument, ClientsEvent, UsedLimit } from '../clients.ts';
import type { PageDocument, PageElement } from './dom.ts';
import { bar, cell, element, emptyRow, row, setText } from './elements.ts';
import { formatCount, formatSeconds, formatTokens, formatWindow } from './format.ts';

declare const document: PageDocument;

/** What clients took, and how much is left. */
export function showClients({ clients, more, usageRead }: ClientsEvent): void {
  const rows = clients.map((client) => clientRow(client, usageRead));
  element('clients').replaceChildren(...(rows.length > 0 ? rows : [emptyRow('None yet', 8)]));
  const hint = usageRead ? '' : 'Tokens are not counted: usage.enabled is false. ';
  const rest =
    more > 0 ? `${formatCount(more)} more clients took less; GET /auth/clients has all.` : '';
  setText('clients-more', hint + rest);
  element('clients-more').hidden = hint + rest === '';
}

/** @param now milliseconds since 1970 */
export function showAccountLimits(limits: readonly AccountLimit[], now: number): void {
  const lines = limits.map((limit) => accountLimit(limit, now));
  element('account-limits').replaceChildren(
    ...(lines.length > 0 ? lines : [cell('p', 'The backend has not told any yet.')]),
  );
}

function clientRow(client: ClientDocument, usageRead: boolean): PageElement {
  const { name, state, requestsLastMinute, openStreams, today } = client;
  const who = cell('span', name ?? 'anyone');
  who.className = 'path';
  const tokens = (count: number) => (usageRead ? formatTokens(count) : '–');
  const line = row([
    who,
    state,
    formatCount(today.requests),
    openStreams === null ? '–' : formatCount(openStreams),
    tokens(today.tokens.input),
    tokens(today.tokens.cached),
    tokens(today.tokens.output),
    limitBars(client.limits),
  ]);
  line.className = state === 'valid' ? '' : 'gone';
  const minute = requestsLastMinute === null ? '' : `, ${requestsLastMinute} in the last minute`;
  line.setAttribute('title', `${today.turns} turns, ${today.unknown} of unknown size${minute}`);
  return line;
}

const LIMIT_TEXTS: Record<string, string> = {
  requests: 'requests a minute',
  streams: 'streams at once',
  'input-tokens': 'input tokens',
  'output-tokens': 'output tokens',
};

function limitBars(limits: readonly UsedLimit[]): PageElement {
  const box = cell('div', '');
  box.className = 'bars';
  for (const { name, limit, used } of limits) {
    const text = `${formatTokens(used)} of ${formatTokens(limit)} ${LIMIT_TEXTS[name] ?? name}`;
    box.append(bar(used, limit, text), cell('span', text));
  }
  return box;
}

function accountLimit(
  { limit, window, usedPercent, windowMinutes, resetsAt }: AccountLimit,
  now: number,
): PageElement {
  const box = document.createElement('div');
  box.className = 'limit';
  const length = windowMinutes === null ? window : formatWindow(windowMinutes);
  const name = cell('span', `${limit}, ${length}`);
  const used = usedPercent === null ? 'not known since its reset' : `${usedPercent} % used`;
  const left = resetsAt === null ? null : (Date.parse(resetsAt) - now) / 1_000;
  const reset = left === null || left <= 0 ? '' : `resets in ${formatSeconds(left)}`;
  const told = cell('span', used);
  const when = cell('span', reset);
  when.className = 'quiet end';
  if (resetsAt !== null) when.setAttribute('title', new Date(resetsAt).toString());
  box.append(name, told, when, bar(usedPercent ?? 0, 100, `${limit}, ${length}: ${used}`));
  return box;
}
