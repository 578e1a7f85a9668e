import type { ActivityEvent } from '../events.ts';
import type { StatusDocument } from '../status.ts';
import { barPath, begun, largest, latest, niceCeiling, stepPath } from './chart.ts';
import type { PageDocument } from './dom.ts';
import { cell, element, emptyRow, number, path, row, setText, tag } from './elements.ts';
import { formatCount, formatMs, formatRate, formatSeconds, formatTime } from './format.ts';
import { remedyOf } from './remedies.ts';
import { certificateText, storeText } from './status-text.ts';

declare const document: PageDocument;

/** Everything that comes from outside is shown as text, escaped; nothing is ever read as markup. */

const EXPLAINED: Record<string, string> = {
  starting: 'The credential is being loaded, refreshed or registered.',
  ready: 'Requests can be authenticated.',
  degraded: 'Requests can be authenticated, but something needs attention.',
  unauthenticated: 'There is no credential: sign in, or give the sidecar a key.',
  failed: 'There is a credential, but it cannot be used.',
  draining: 'The sidecar is shutting down.',
  unreachable: 'The sidecar does not answer; trying again.',
};

export function showState(state: string): void {
  element('state').dataset.state = state;
  setText('state-word', state);
  setText('state-text', EXPLAINED[state] ?? '');
  document.title = `${state} · codex-auth-sidecar`;
}

export function showStatus(status: StatusDocument): void {
  const { account, agentIdentity: identity, bearer, upstream } = status;
  showState(status.status);
  setText('version', `v${status.version}`);
  setText('credential', [status.authMode, status.planType].filter(Boolean).join(' · ') || 'none');
  setText('source', status.credentialSource);
  setText('store', storeText(status.store));
  setText('account', [account?.email, account?.id].filter(Boolean).join(' · '));
  element('fedramp').hidden = !account?.fedramp;
  setText('identity-state', identity.state);
  setText(
    'identity-policy',
    [`policy ${identity.policy}`, identity.form].filter(Boolean).join(' · '),
  );
  setText('identity-runtime', identity.agentRuntimeId);
  setText('identity-key', identity.publicKey);
  setText('identity-task', identity.taskId);
  setText('identity-instance', identity.runtimeInstanceId);
  setText('identity-rejection', identity.lastRejection);
  setText('bearer-state', bearer.state);
  setText('bearer-refresh', bearer.lastRefreshAt);
  setText('origin', upstream.origin);
  const { certificate } = status.listener;
  setText('certificate', certificate ? certificate.names.join(', ') : 'none: plain HTTP');
  showProblems([
    [identity.state === 'off' ? 'Credential' : 'Identity', identity.lastError],
    ['Bearer', bearer.lastError],
    ['Store', status.store.lastError],
    ['Certificate', certificate?.problem ?? null],
  ]);
  element('routes').replaceChildren(
    ...status.routes.map((route) =>
      row([route.methods.join(', ').replace('*', 'any'), path(route.path), tag(route.auth)]),
    ),
  );
}

export function showActivity({ connections, requests, upstream, recent }: ActivityEvent): void {
  setText('http', connections.http);
  setText('websocket', connections.websocket);
  setText('assertion', formatCount(requests.assertion));
  setText('bearer-requests', formatCount(requests.bearer));
  setText('degraded', formatCount(requests.degraded));
  setText('denied', formatCount(requests.denied));
  setText('last-status', upstream.lastStatus);
  setText('last-at', formatTime(upstream.lastResponseAt));
  const { clockSkewSeconds: skew } = upstream;
  setText('skew', skew === null ? null : `${skew} s`);
  setText('added', formatMs(recent.addedMs.median));
  setText('added-p95', `p95 ${formatMs(recent.addedMs.p95)}`);
  const first = recent.requests.findIndex((count) => count > 0);
  const since = <T>(values: readonly T[]) => begun(values, first === -1 ? values.length : first);
  const { requests: all, refused, failed, medianMs, p95Ms, stepSeconds } = recent;
  const shown = { ...recent, requests: since(all), refused: since(refused), failed: since(failed) };
  showRates(shown);
  showLatency({ ...recent, medianMs: since(medianMs), p95Ms: since(p95Ms) });
  const minutes = Math.round((shown.requests.length * stepSeconds) / 60);
  const ago = `${minutes} min ago`;
  for (const id of ['rate-begin', 'latency-begin']) setText(id, ago);
  showKinds(recent.byKind);
  showRefusals(recent.refusals);
}

/** What goes on by itself from one second to the next. */
export function showClock(
  { bearer, listener }: StatusDocument,
  uptimeSeconds: number,
  now: number,
): void {
  const { expiresAt } = bearer;
  setText('uptime', `up ${formatSeconds(uptimeSeconds)}`);
  const left = expiresAt === null ? null : (Date.parse(expiresAt) - now) / 1_000;
  setText('countdown', left === null ? '–' : left <= 0 ? 'over' : formatSeconds(left));
  const { certificate } = listener;
  element('certificate-left').textContent = certificate ? certificateText(certificate, now) : '';
}

function showProblems(problems: readonly (readonly [string, string | null])[]): void {
  const real = problems.filter(([, text]) => text !== null);
  element('problems').hidden = real.length === 0;
  element('problems').replaceChildren(
    ...real.map(([name, text]) => cell('li', `${name}: ${text}`)),
  );
}

function showRates({ requests, refused, failed, stepSeconds }: ActivityEvent['recent']): void {
  const fine = requests.map((all, i) => all - (refused[i] ?? 0) - (failed[i] ?? 0));
  const unfailed = requests.map((all, i) => all - (failed[i] ?? 0));
  const top = niceCeiling(largest(requests) / stepSeconds);
  const most = top * stepSeconds;
  element('bars-fine').setAttribute('d', barPath(fine, [], most));
  element('bars-refused').setAttribute('d', barPath(refused, fine, most));
  element('bars-failed').setAttribute('d', barPath(failed, unfailed, most));
  // The last step is still filling.
  const now = formatRate((requests.at(-2) ?? 0) / stepSeconds);
  setText('rate', now);
  setText('rate-top', formatRate(top));
  const peak = formatRate(largest(requests) / stepSeconds);
  element('rate-chart').setAttribute(
    'aria-label',
    `Requests a second over ten minutes: ${now} now, ${peak} at most, ${total(failed)} failed`,
  );
}

function showLatency({ medianMs, p95Ms }: ActivityEvent['recent']): void {
  const top = niceCeiling(largest(p95Ms));
  element('line-median').setAttribute('d', stepPath(medianMs, top));
  element('line-p95').setAttribute('d', stepPath(p95Ms, top));
  const median = formatMs(latest(medianMs));
  const p95 = formatMs(latest(p95Ms));
  setText('first-byte', median);
  setText('latency-top', formatMs(top));
  element('latency-chart').setAttribute(
    'aria-label',
    `Time to first byte over ten minutes: last median ${median}, last 95th percentile ${p95}`,
  );
}

function showKinds(byKind: ActivityEvent['recent']['byKind']): void {
  const classes = ['1xx', '2xx', '3xx', '4xx', '429', '5xx', 'none'];
  const kinds = ['assertion', 'bearer', 'none', 'deny', 'unmatched', 'own'];
  const rows = kinds.flatMap((kind) => {
    const counts = byKind[kind];
    return counts ? [row([tag(kind), ...classes.map((name) => number(counts[name] ?? 0))])] : [];
  });
  element('kinds').replaceChildren(...(rows.length > 0 ? rows : [emptyRow('No requests yet', 8)]));
}

function showRefusals(refusals: ActivityEvent['recent']['refusals']): void {
  const rows = refusals.map((refused) =>
    row([
      formatTime(refused.at),
      refused.count === 1 ? '' : `${formatCount(refused.count)}×`,
      refused.client ?? '',
      path(`${refused.method ?? '?'} ${refused.path ?? '?'}`),
      String(refused.status ?? '–'),
      reason(refused.code, refused.status),
    ]),
  );
  element('refusals').replaceChildren(...(rows.length > 0 ? rows : [emptyRow('None', 6)]));
}

/** Whose refusal it is, and what to do. */
function reason(code: string | null, status: number | null) {
  const both = cell('span', code ?? 'upstream');
  const remedy = cell('small', remedyOf(code, status));
  remedy.className = 'remedy';
  both.append(remedy);
  return both;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
