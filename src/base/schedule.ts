/** Runs `task` once after `delayMs`; the result cancels it. Passed in, so that tests control time. */
export type Schedule = (delayMs: number, task: () => void) => () => void;

// A longer delay would overflow and fire at once.
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Timers that do not keep the process alive. A very long delay fires early; its task sets it again. */
export const timerSchedule: Schedule = (delayMs, task) => {
  const timer = setTimeout(task, Math.min(delayMs, MAX_DELAY_MS));
  timer.unref();
  return () => clearTimeout(timer);
};
