import type { SignInState } from '../../credentials/sign-in-attempt.ts';
import type { SignInEvent } from '../sign-in.ts';
import type { PageWindow } from './dom.ts';
import { element, setText } from './elements.ts';
import { formatSeconds } from './format.ts';

declare const window: PageWindow;

type WaitingSignIn = Extract<SignInState, { state: 'waiting' }>;
type SignInResponse = SignInState | { error: { message: string } };

/** When the code ends, by the clock of the page; null without one. */
let codeEndsAt: number | null = null;

export function showSignIn({ state, reason, offered }: SignInEvent): void {
  element('sign-in').hidden = !offered;
  element('sign-in-begin').disabled = state === 'beginning';
  if (state !== 'waiting') hideCode();
  if (state !== 'none') showSignInProblem(reason);
}

/** The code comes in the response to whoever began the sign-in, or joined it. */
function showCode(waiting: WaitingSignIn): void {
  const { userCode, verificationUrl, secondsLeft } = waiting;
  codeEndsAt = performance.now() + secondsLeft * 1_000;
  setText('sign-in-code', userCode);
  setText('sign-in-link', verificationUrl);
  if (/^https?:\/\//.test(verificationUrl)) {
    element('sign-in-link').setAttribute('href', verificationUrl);
  }
  element('sign-in-offer').hidden = true;
  element('sign-in-wait').hidden = false;
  showSignInClock();
}

function hideCode(): void {
  codeEndsAt = null;
  setText('sign-in-code', null);
  element('sign-in-offer').hidden = false;
  element('sign-in-wait').hidden = true;
}

export function showSignInClock(): void {
  if (codeEndsAt === null) return;
  setText('sign-in-left', formatSeconds((codeEndsAt - performance.now()) / 1_000));
}

export function offerSignIn(): void {
  element('sign-in-begin').onclick = () => void ask('POST');
  element('sign-in-cancel').onclick = () => void ask('DELETE');
}

/** How it goes on after this comes with the events. */
async function ask(method: 'POST' | 'DELETE'): Promise<void> {
  showSignInProblem(null);
  try {
    // The type keeps forms of other pages out.
    const headers = { 'content-type': 'application/json' };
    const response = await window.fetch('/auth/sign-in', { method, headers });
    const told = (await response.json()) as SignInResponse;
    if ('error' in told) showSignInProblem(told.error.message);
    else if (told.state === 'waiting') showCode(told);
    else hideCode();
  } catch {
    showSignInProblem('The sidecar does not respond.');
  }
}

function showSignInProblem(text: string | null): void {
  element('sign-in-problem').hidden = text === null;
  setText('sign-in-problem', text);
}
