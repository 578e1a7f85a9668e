/** How long the event loop turns after a deadline has passed, before the deadline counts. */
const GRACE_MS = 1_000;

/**
 * Calls back once `ms` and a second of grace have passed. A process that stood still (SIGSTOP, a
 * frozen container, a suspended machine) runs its timers before it reads its sockets; without the
 * grace it would throw away a response that has already arrived.
 * @returns cancels it
 */
export function afterDeadline(ms: number, passed: () => void): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(passed, GRACE_MS);
  }, ms);
  return () => clearTimeout(timer);
}

/** Whether `work` settles within `ms` and the grace; it is not ended otherwise. Never rejects. */
export function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = afterDeadline(ms, () => resolve(false));
    const settle = () => {
      cancel();
      resolve(true);
    };
    work.then(settle, settle);
  });
}
