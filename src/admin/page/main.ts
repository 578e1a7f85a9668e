import type { AccountLimit } from '../../telemetry/account-limits.ts';
import type { ClientsEvent } from '../clients.ts';
import type { ActivityEvent } from '../events.ts';
import type { SignInEvent } from '../sign-in.ts';
import type { StatusDocument } from '../status.ts';
import type { EventSourceClass } from './dom.ts';
import { element } from './elements.ts';
import { offerSignIn, showSignIn, showSignInClock } from './sign-in-view.ts';
import { showAccountLimits, showClients } from './usage-view.ts';
import { showActivity, showClock, showState, showStatus } from './view.ts';

declare const EventSource: EventSourceClass;

const CLOSED = 2;
const RETRY_MS = 5_000;

let status: StatusDocument | null = null;
let startedAt: number | null = null;
let accountLimits: readonly AccountLimit[] = [];

/** Follows the sidecar for as long as the page is open. */
function follow(): void {
  const source = new EventSource('/auth/events');
  source.addEventListener('auth/status', ({ data }) => {
    const received: StatusDocument = JSON.parse(data);
    status = received;
    setOnline(true);
    showStatus(received);
    setUptime(received.uptimeSeconds);
  });
  source.addEventListener('activity', ({ data }) => {
    const activity: ActivityEvent = JSON.parse(data);
    showActivity(activity);
    accountLimits = activity.accountLimits;
    setUptime(activity.uptimeSeconds);
  });
  source.addEventListener('clients', ({ data }) => {
    const clients: ClientsEvent = JSON.parse(data);
    showClients(clients);
  });
  source.addEventListener('sign-in', ({ data }) => {
    const signIn: SignInEvent = JSON.parse(data);
    showSignIn(signIn);
  });
  source.addEventListener('error', () => {
    setOnline(false);
    // The browser tries again by itself, unless it was answered with an error.
    if (source.readyState === CLOSED) setTimeout(follow, RETRY_MS);
  });
}

function setOnline(online: boolean): void {
  element('page').dataset.online = String(online);
  if (!online) showState('unreachable');
}

function setUptime(seconds: number): void {
  startedAt = performance.now() - seconds * 1_000;
  tick();
}

function tick(): void {
  if (startedAt === null || status === null) return;
  showClock(status, (performance.now() - startedAt) / 1_000, Date.now());
  showAccountLimits(accountLimits, Date.now());
}

setInterval(tick, 1_000);
setInterval(showSignInClock, 1_000);
offerSignIn();
follow();
