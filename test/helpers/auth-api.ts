import type { Test } from 'tap';
import { Agent } from 'undici';
import type { AuthApi } from '../../src/agent-identity/registration.ts';
import { createHttpClient } from '../../src/upstream/http-client.ts';
import { type Reaction, type RecordingServer, startRecordingServer } from './recording-server.ts';

export interface RecordedAuthApi {
  api: AuthApi;
  server: RecordingServer;
  /** What was asked of `sleep`, in milliseconds. It returns at once. */
  delays: number[];
}

/** AuthAPI on a real server, and a clock that starts at `now` and moves only with `sleep`. */
export async function startAuthApi(
  t: Test,
  now: string,
  ...reactions: [Reaction, ...Reaction[]]
): Promise<RecordedAuthApi> {
  const server = await startRecordingServer(t, ...reactions);
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  const delays: number[] = [];
  let nowMs = Date.parse(now);
  const api: AuthApi = {
    baseUrl: `${server.url}/api/accounts`,
    http: createHttpClient(agent, 'codex-auth-sidecar/test'),
    now: () => nowMs,
    sleep: async (ms) => {
      delays.push(ms);
      nowMs += 1000;
    },
  };
  return { api, server, delays };
}
