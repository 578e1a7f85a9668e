import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { createLogger } from '../../src/base/logger.ts';
import { timerSchedule } from '../../src/base/schedule.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { ChatGptSession } from '../../src/credentials/chatgpt-session.ts';
import { CODEX_CLIENT_ID } from '../../src/oauth/token-endpoint.ts';
import { createHttpClient } from '../../src/upstream/http-client.ts';

// A process that is told to refresh its login again and again, beside another one on the same
// auth.json; the last argument is its patience with the token endpoint, in milliseconds. Prints the
// access token that it ends with, as JSON.
const [, , folder = '', tokenUrl = '', rounds = '0', patience = '30000'] = process.argv;

const store = new FileAuthStore(folder);
const stored = await store.load();
if (!stored?.tokens) throw new Error('no login');
const agent = new Agent();
const http = createHttpClient(agent, 'codex-auth-sidecar/test');
const patienceMs = Number(patience);
let hours = 0;
const session = new ChatGptSession(readChatGptLogin(stored.tokens, stored.lastRefresh), {
  store,
  now: Date.now,
  // Hours go by between two refreshes, or their rate would be limited.
  monotonicNow: () => performance.now() + hours * 3_600_000,
  backendNow: Date.now,
  schedule: timerSchedule,
  log: createLogger({ level: 'silent' }),
  oauth: () => ({
    tokenUrl,
    revokeUrl: tokenUrl,
    clientId: CODEX_CLIENT_ID,
    http: (request) => http({ ...request, timeoutMs: 4 * patienceMs }),
    waitMs: patienceMs,
  }),
});
for (let round = 0; round < Number(rounds); round++) {
  hours++;
  await session.renew(session.login.accessToken, true);
  // Gives the other process its turn at the lock.
  await sleep(Math.random() * 5);
}
await agent.destroy();
process.stdout.write(JSON.stringify({ accessToken: session.login.accessToken.reveal() }));
