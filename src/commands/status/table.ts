import type { StatusDocument } from '../../admin/status.ts';
import { printable } from '../../base/printable.ts';
import type { Paint, Style } from '../colour.ts';

const plain: Paint = (_style, text) => text;

/** An older sidecar says nothing of its listener and store. */
type Later = 'listener' | 'store';
type ShownStatus = Omit<StatusDocument, Later> & Partial<Pick<StatusDocument, Later>>;

/** The rows of the table that `status` prints. */
export function statusTable(status: ShownStatus, paint: Paint = plain): string[] {
  const { account, agentIdentity, bearer, upstream, connections, requests } = status;
  const { form, state, agentRuntimeId, taskId, runtimeInstanceId } = agentIdentity;
  const identity = [state, agentRuntimeId, taskId, runtimeInstanceId, form && `form ${form}`];
  const rows: [string, string | null][] = [
    ['status', status.status],
    ['version', `${status.version}, up ${status.uptimeSeconds} s`],
    ['certificate', certificateText(status.listener)],
    ['credential', joined([status.authMode, status.planType, from(status.credentialSource)])],
    ['account', joined([account?.id, account?.email, account?.fedramp ? 'FedRAMP' : null])],
    ['agent identity', joined([`policy ${agentIdentity.policy}`, ...identity])],
    ['identity error', agentIdentity.lastError],
    ['last rejection', agentIdentity.lastRejection],
    ['bearer', joined([bearer.state, bearer.expiresAt && `expires ${bearer.expiresAt}`])],
    ['bearer error', bearer.lastError],
    ['store error', status.store?.lastError ?? null],
    ['upstream', joined([upstream.origin, upstream.lastStatus && `last ${upstream.lastStatus}`])],
    ['clock skew', upstream.clockSkewSeconds === null ? null : `${upstream.clockSkewSeconds} s`],
    ['connections', `${connections.http} http, ${connections.websocket} websocket`],
    ['requests', joined(Object.entries(requests).map(([kind, count]) => `${count} ${kind}`))],
  ];
  return rows.flatMap(([name, value]) => {
    if (!value) return [];
    const text = printable(value);
    const style = name === 'status' ? statusColour(status.status) : ALARMING.has(name) && 'red';
    return [`${paint('dim', name.padEnd(15))} ${style ? paint(style, text) : text}`];
  });
}

const ALARMING = new Set(['identity error', 'last rejection', 'bearer error', 'store error']);

export function statusColour(status: StatusDocument['status']): Style {
  if (status === 'ready') return 'green';
  return status === 'failed' || status === 'unauthenticated' ? 'red' : 'yellow';
}

function joined(parts: (string | number | null | undefined | false)[]): string {
  return parts.filter(Boolean).join(', ') || 'none';
}

function certificateText(listener: ShownStatus['listener']): string | null {
  const certificate = listener?.certificate ?? null;
  if (certificate === null) return null;
  const { names, issuer, expiresAt } = certificate;
  return `${names.join(', ') || 'no name'}, expires ${expiresAt}, issued by ${issuer}`;
}

function from(source: string | null): string | null {
  return source === null ? null : `from ${source}`;
}
