import type { Test } from 'tap';
import { type AgentScene, checkSilence, RESPONSES } from './agent-scene.ts';
import { askAppServer } from './app-server.ts';

/** What the emulated backend says of the account, by way of the app server. */
export const LIMITS = { rateLimits: { primary: { usedPercent: 12 }, planType: 'plus' } };
export const USAGE = { summary: { lifetimeTokens: 3000 } };

/** Everything went to the sidecar, and from there with its credentials. */
export function checkTraffic(
  t: Test,
  scene: AgentScene,
  accessToken = scene.login.accessToken,
): void {
  const { backend, clientToken, refusals } = scene;
  t.strictSame(refusals(), [], 'the sidecar refused nothing');
  const seen = backend.records.filter(({ path }) => path.startsWith('/backend-api/'));
  for (const { method, path, auth, headers } of seen) {
    const isInference = path === RESPONSES;
    t.ok(auth.verified, `${method} ${path} (${auth.problem})`);
    t.equal(auth.kind, isInference ? 'assertion' : 'bearer', path);
    if (!isInference) t.equal(headers.authorization, `Bearer ${accessToken}`);
  }
  t.notMatch(JSON.stringify(backend.records), clientToken, 'the client token stayed here');
  checkSilence(t, scene);
}

export function checkAsked(t: Test, { backend }: AgentScene, paths: readonly string[]): void {
  for (const path of paths) {
    t.ok(
      backend.records.some((record) => record.path.split('?')[0] === `/backend-api/${path}`),
      `asked for ${path}`,
    );
  }
}

/** Asks an app server for each, and looks at what it says. */
export async function checkReplies(
  t: Test,
  { home }: AgentScene,
  asked: { answers: Record<string, object>; command: string[]; env: Record<string, string> },
): Promise<void> {
  const { answers, command, env } = asked;
  const replies = await askAppServer(home, command, Object.keys(answers), env);
  for (const [index, [method, answer]] of Object.entries(answers).entries()) {
    t.match(replies[index], { result: answer }, method);
  }
}
