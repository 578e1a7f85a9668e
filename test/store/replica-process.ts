import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import type { AuthStore } from '../../src/auth-store/store.ts';
import { createLogger } from '../../src/base/logger.ts';
import { timerSchedule } from '../../src/base/schedule.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { ChatGptSession } from '../../src/credentials/chatgpt-session.ts';
import { CODEX_CLIENT_ID } from '../../src/oauth/token-endpoint.ts';
import { createHttpClient } from '../../src/upstream/http-client.ts';
import { openStore, type StoreOptions } from './open-store.ts';

// One of several processes that share a login and refresh it again and again. It reports each outcome
// to its parent, and stops in order when it is told to.
export interface ReplicaOptions extends StoreOptions {
  tokenUrl: string;
  /** How long it waits for the token endpoint. */
  waitMs?: number;
  /** Whether the access token counts as refused each time; otherwise it lives. */
  refused?: boolean;
  /**
   * Whether a refresh uses the connection of the one before; default true. One that was kept can have been
   * closed while the process stood still, and then nobody knows whether the request arrived. A sidecar,
   * which refreshes every few days, has none.
   */
  keepsConnection?: boolean;
  /** Refreshes only when the access token ends within this time; absent: again and again. */
  dueMs?: number;
  /** How often it tells what it knows of an attempt, when that has changed; absent: never. */
  tellMs?: number;
}

/** What a replica reports. */
export type ReplicaReport =
  | { did: 'ready' | 'refreshed' | 'takenOver' | 'signedOut' }
  | { did: 'failed' | 'over'; message: string }
  | { did: 'stopped'; writtenBack: number }
  | { did: 'saw'; sighting: Sighting };

/** What a replica knows of the attempt in the row. */
export interface Sighting {
  state: string;
  /** Whose attempt it is. */
  by: string | null;
  /** Milliseconds since 1970. */
  at: number;
}

/**
 * Where a replica stands still by itself: the database has confirmed its announcement, it is about to
 * send the refresh token, or it has the response.
 */
export type HaltPoint = 'announced' | 'sending' | 'received';

/** What a replica is told. */
export type ReplicaOrder = 'stop' | HaltPoint;

const options = JSON.parse(process.argv[2] ?? '{}') as ReplicaOptions;
const {
  haste = 10,
  tokenUrl,
  waitMs = 2_000,
  refused = true,
  keepsConnection = true,
  dueMs,
  tellMs,
} = options;
const store = openStore(options);
const agent = new Agent(keepsConnection ? {} : { pipelining: 0 });
const http = createHttpClient(agent, 'codex-auth-sidecar/test');
const send = (report: ReplicaReport) => process.send?.(report);
const told: { stop: boolean; halt: HaltPoint | null } = { stop: false, halt: null };
process.on('message', (order: ReplicaOrder) => {
  if (order === 'stop') told.stop = true;
  else told.halt = order;
});
// Its parent has died.
process.on('disconnect', () => process.exit(1));

function haltAt(point: HaltPoint): void {
  if (told.halt !== point) return;
  told.halt = null;
  process.kill(process.pid, 'SIGSTOP');
}

/** Whether the refresh token of this session was sent: the next write is that of new tokens. */
let wasSent = false;
store.observe(({ operation, outcome }) => {
  if (operation === 'write' && outcome === 'ok' && !wasSent) haltAt('announced');
});

let lastTold = '';
function tell(): void {
  const status = store.status();
  if (status.kind !== 'postgres') return;
  const { state, by } = status.refresh;
  if (lastTold === `${state} ${by}`) return;
  lastTold = `${state} ${by}`;
  send({ did: 'saw', sighting: { state, by, at: Date.now() } });
}
if (tellMs !== undefined) setInterval(tell, tellMs).unref();

async function openSession(from: AuthStore): Promise<ChatGptSession | null> {
  wasSent = false;
  const stored = await from.load().catch(() => null);
  if (!stored?.tokens) return null;
  return new ChatGptSession(readChatGptLogin(stored.tokens, stored.lastRefresh), {
    store: from,
    now: Date.now,
    monotonicNow: () => performance.now() * haste,
    backendNow: Date.now,
    schedule: timerSchedule,
    log: createLogger({ level: 'silent' }),
    oauth: () => ({
      tokenUrl,
      revokeUrl: tokenUrl,
      clientId: CODEX_CLIENT_ID,
      waitMs,
      http: async (request) => {
        haltAt('sending');
        wasSent = true;
        const response = await http(request);
        haltAt('received');
        return response;
      },
    }),
    observe: (event) => {
      if (event.type !== 'refresh') return;
      const { outcome } = event;
      if (outcome === 'refreshed' || outcome === 'takenOver') send({ did: outcome });
    },
  });
}

let session = await openSession(store);
const stopWatching = store.watch(() => void follow().catch(() => undefined));

function isDue({ login }: ChatGptSession): boolean {
  if (dueMs === undefined || login.expiresAt === null) return true;
  return login.expiresAt - Date.now() <= dueMs;
}

/** As a reload does: other tokens in the store make another session. */
async function follow(): Promise<void> {
  const stored = await store.load();
  if (!stored?.tokens) return;
  if (session?.holds(stored.tokens)) return session.persist();
  session?.release();
  session = await openSession(store);
}

let isSignedOut = false;
send({ did: 'ready' });
while (!told.stop) {
  session ??= await openSession(store);
  const current: ChatGptSession | null = session;
  if (!current && !isSignedOut) send({ did: 'signedOut' });
  isSignedOut = !current;
  if (!current || !isDue(current)) {
    await sleep(20);
    continue;
  }
  try {
    await current.renew(current.login.accessToken, refused);
    // A session refreshes ten times in ten minutes at most, and here it is always due.
    if (!current.isUnwritten) {
      session?.release();
      session = await openSession(store);
    }
  } catch (error) {
    const { message } = error as Error;
    send({ did: current.isOver() ? 'over' : 'failed', message });
    await sleep(50);
  }
  // Gives the others their turn.
  await sleep(Math.random() * 5);
}
stopWatching();
await session?.settle();
session?.release();
const { writtenBack } = store.status();
await store.close();
await agent.destroy();
send({ did: 'stopped', writtenBack });
process.disconnect();
