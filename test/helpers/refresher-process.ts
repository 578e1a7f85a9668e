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
// auth.json, with any of these milliseconds of patience with the token endpoint. Prints the access token that it ends with, as JSON.
const [, , folder = '', tokenUrl = '', rounds = '0', patience = '30000'] = process.argv;

const store = new FileAuthStore(folder);
const stored = await store.load();
if (!stored?.tokens) throw new Error('no login');
const agent = new Agent();
const http = createHttpClient(agent, 'codex-auth-sidecar/test');
const patienceMs = Number(patience);
const session = new ChatGptSession(readChatGptLogin(stored.tokens, stored.lastRefresh), {
  store,
  now: Date.now,
  monotonicNow: () => performance.now(),
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
  await session.renew(session.login.accessToken, true);
  // Gives the other process its turn at the lock.
  await sleep(Math.random() * 5);
}
await agent.destroy();
process.stdout.write(JSON.stringify({ accessToken: session.login.accessToken.reveal() }));
