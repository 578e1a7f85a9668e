import type { AuthStore } from '../auth-store/store.ts';
import { settlesWithin } from '../base/deadline.ts';
import { RefreshError } from '../oauth/token-endpoint.ts';

/** How long a request waits for the tokens of a program that has spent our refresh token. */
const OTHERS_WRITE_MS = 1_000;

/**
 * Another program seems to have spent our refresh token, and what it got for it is not in the store
 * yet. To look again costs no request.
 */
export class SpentElsewhere extends Error {
  override readonly name = 'SpentElsewhere';

  constructor(refusal: RefreshError) {
    super(`${refusal.message}, and no other program has stored new tokens yet`, { cause: refusal });
  }
}

/**
 * Attempts a refresh. When the refresh token was refused as if it were spent, the store is read again
 * before the login counts as lost: Codex refreshes without a lock and takes it only to write, so it
 * may be waiting for the one that we have just held.
 * @param attempt one transaction, which takes over what the store holds before it sends anything
 * @param store asked for its next change, when somebody needs the tokens now; else null
 */
export async function lookingAgain<T>(
  attempt: () => Promise<T>,
  store: AuthStore | null,
): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof RefreshError) || !error.perhapsSpent) throw error;
  }
  try {
    return await attempt();
  } catch (error) {
    if (!store || !(error instanceof SpentElsewhere)) throw error;
  }
  await changeOf(store, OTHERS_WRITE_MS);
  return attempt();
}

/** Waits until somebody else may have changed the store, or the time is up. Never rejects. */
async function changeOf(store: AuthStore, timeoutMs: number): Promise<void> {
  let stop: () => void = () => undefined;
  const changed = new Promise<void>((resolve) => {
    stop = store.watch(resolve);
  });
  await settlesWithin(changed, timeoutMs);
  stop();
}
