import { setTimeout as sleep } from 'node:timers/promises';
import { NO_CREDENTIAL } from '../../../src/auth-store/auth-document.ts';
import { makeFile, run, type TestScope } from '../../../test/helpers/program.ts';
import { readStatus } from '../../../test/helpers/until-status.ts';
import { Fleet } from '../../../test/store/fleet.ts';
import { startSidecars } from './sidecars.ts';

type Status = Awaited<ReturnType<typeof readStatus>>;

const SIDECARS = 3;
/** Longer than a command takes, so that a refresh is under way when it writes. */
const RESPONSE_MS = 2_500;
const LOOK_MS = 20;

/**
 * T11: signs in and out by commands, while a process refreshes and three sidecars look once a second.
 * @returns `longest`: how long after its end a command was in force everywhere, in seconds
 */
export async function signInAndOut(t: TestScope, rounds: number) {
  const fleet = await Fleet.start(t);
  fleet.add();
  const sidecars = await startSidecars(t, fleet, SIDECARS);
  fleet.emulator.addFault({ path: '/oauth/token', delayMs: RESPONSE_MS, times: 0 });
  const longest: Record<string, number> = { import: 0, logout: 0, login: 0 };
  const wrong: string[] = [];
  const [{ config, env }] = sidecars as [(typeof sidecars)[0]];

  /** Runs a command, and waits until every sidecar is as `holds` says. */
  const command = async (
    name: string,
    args: string[],
    holds: (status: Status) => boolean,
    input = '',
  ) => {
    const { code, stderr } = await run(t, [...args, '--config', config], env, { input });
    const ended = performance.now();
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
    const delays = sidecars.map(async ({ url }) => {
      while (!holds(await readStatus(url))) await sleep(LOOK_MS);
      return performance.now() - ended;
    });
    const seconds = Math.max(...(await Promise.all(delays))) / 1000;
    longest[name] = Math.max(longest[name] ?? 0, Math.round(seconds * 100) / 100);
  };

  for (let round = 0; round < rounds; round++) {
    const account = { accountId: 'account-1', userId: 'user-1' };
    const first = fleet.emulator.issueLogin({ ...account, planType: 'plus' });
    await fleet.store.overwrite({ ...NO_CREDENTIAL, ...first.authJson });
    await fleet.nextHolder();
    const { authJson, refreshToken } = fleet.emulator.issueLogin({ ...account, planType: 'pro' });
    const file = await makeFile(t, 'auth.json', authJson);
    await command('import', ['login', '--import', file], ({ planType }) => planType === 'pro');
    // Its tokens are the ones that are refreshed next, not those that were on the way.
    await fleet.emulator.waitFor(
      ({ body }) => (body as { refresh_token?: string } | null)?.refresh_token === refreshToken,
    );
    await command('logout', ['logout'], ({ status }) => status === 'unauthenticated');
    await sleep(RESPONSE_MS);
    const stored = await fleet.store.load();
    if (stored?.tokens) wrong.push(`round ${round}: a refresh wrote over the sign-out`);
    const key = fleet.emulator.issueApiKey();
    const isApiKey = ({ authMode }: Status) => authMode === 'apikey';
    await command('login', ['login', '--with-api-key'], isApiKey, key);
  }
  await fleet.stop();
  if (fleet.reused.length > 0) wrong.push(`sent twice: ${fleet.reused}`);
  return { rounds, refreshed: fleet.refreshed, longest, wrong };
}
