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
}

/** What a replica reports. */
export type ReplicaReport =
  | { did: 'ready' | 'refreshed' | 'takenOver' | 'stopped' }
  | { did: 'failed' | 'over'; message: string };

const options = JSON.parse(process.argv[2] ?? '{}') as ReplicaOptions;
const { haste = 10, tokenUrl, waitMs = 2_000, refused = true } = options;
const store = openStore(options);
const agent = new Agent();
const send = (report: ReplicaReport) => process.send?.(report);
const told = { stop: false };
process.on('message', () => {
  told.stop = true;
});
// Its parent has died.
process.on('disconnect', () => process.exit(1));

async function openSession(from: AuthStore): Promise<ChatGptSession | null> {
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
      http: createHttpClient(agent, 'codex-auth-sidecar/test'),
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

/** As a reload does: other tokens in the store make another session. */
async function follow(): Promise<void> {
  const stored = await store.load();
  if (!stored?.tokens) return;
  if (session?.holds(stored.tokens)) return session.persist();
  session?.release();
  session = await openSession(store);
}

send({ did: 'ready' });
while (!told.stop) {
  session ??= await openSession(store);
  try {
    await session?.renew(session.login.accessToken, refused);
    // A session refreshes ten times in ten minutes at most, and here it is always due.
    if (!session?.isUnwritten) {
      session?.release();
      session = await openSession(store);
    }
  } catch (error) {
    const { message } = error as Error;
    send({ did: session?.isOver() ? 'over' : 'failed', message });
    await sleep(50);
  }
  // Gives the others their turn.
  await sleep(Math.random() * 5);
}
stopWatching();
await session?.settle();
session?.release();
await store.close();
await agent.destroy();
send({ did: 'stopped' });
process.disconnect();
