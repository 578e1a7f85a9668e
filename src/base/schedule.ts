/** Runs `task` once after `delayMs`; the result cancels it. Passed in, so that a test decides. */
export type Schedule = (delayMs: number, task: () => void) => () => void;

// Longer delays overflow and fire at once.
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Timers that do not keep the process alive. A very long delay fires early, and is set again. */
export const timerSchedule: Schedule = (delayMs, task) => {
  const timer = setTimeout(task, Math.min(delayMs, MAX_DELAY_MS));
  timer.unref();
  return () => clearTimeout(timer);
};
