import { setTimeout as sleep } from 'node:timers/promises';
import type { AuthStore } from '../../auth-store/store.ts';
import { monotonicClock, systemClock } from '../../base/clock.ts';
import { USER_AGENT } from '../../base/version.ts';
import { oauthEndpoints } from '../../credentials/oauth-endpoints.ts';
import { beginSignIn, type SignIn } from '../../credentials/sign-in.ts';
import { openDispatcher } from '../../sidecar/preflight.ts';
import type { Settings } from '../../sidecar/settings.ts';
import { createHttpClient } from '../../upstream/http-client.ts';
import type { CommandIo } from '../options.ts';

type Output = Pick<CommandIo, 'print' | 'terminal'>;

/**
 * Signs in with a device code: the person opens a page anywhere and types the code there.
 * @param signal ends it at once; nothing is stored then
 * @returns one line that says what was stored
 */
export async function loginWithDevice(
  store: AuthStore,
  settings: Settings,
  replace: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<string> {
  const dispatcher = await openDispatcher(settings);
  const client = {
    ...oauthEndpoints(settings.config.upstream, null, settings.oauthClientId),
    http: createHttpClient(dispatcher, USER_AGENT),
    now: systemClock,
    monotonicNow: monotonicClock,
    sleep: (ms: number, until: AbortSignal) => sleep(ms, undefined, { signal: until }),
  };
  try {
    const howToReplace = 'repeat with --replace to give it up';
    const signIn = await beginSignIn({ client, store, replace, howToReplace }, signal);
    await explain(signIn, output);
    const { planType } = await withCountdown(signIn, output);
    const plan = planType === null ? '' : ` (plan ${planType})`;
    return `signed in${plan}; stored in ${store.location}`;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error('the sign-in was cancelled, and nothing was stored');
  } finally {
    await dispatcher.destroy();
  }
}

async function explain({ code }: SignIn, { print, terminal }: Output): Promise<void> {
  if (terminal) {
    const { renderUnicodeCompact } = await import('uqr');
    print(renderUnicodeCompact(code.verificationUrl, { border: 2 }));
  }
  print(`Open ${code.verificationUrl} in a browser, sign in, and type this code:`);
  print('');
  print(`    ${code.userCode}`);
  print('');
  print(
    'Type it only if you began this sign-in yourself. Whoever sends you a code is after your account.',
  );
}

/** Shows on a terminal how long the code can still be used, and leaves no trace of it. */
async function withCountdown(
  { code, finish }: SignIn,
  { terminal }: Output,
): ReturnType<SignIn['finish']> {
  const show = () => {
    const seconds = Math.max(0, Math.ceil((code.deadline - monotonicClock()) / 1000));
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    terminal?.write(`\r\x1b[KWaiting for you; the code is good for another ${time}`);
  };
  show();
  const timer = setInterval(show, 1000);
  try {
    return await finish();
  } finally {
    clearInterval(timer);
    terminal?.write('\r\x1b[K');
  }
}
