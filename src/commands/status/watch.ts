import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusDocument } from '../../admin/status.ts';
import { onOneLine, printable } from '../../base/printable.ts';
import type { Paint } from '../colour.ts';
import type { StatusTarget } from './ask.ts';
import { fetchStatus } from './client.ts';
import { statusColour, statusTable } from './table.ts';

interface WatchOptions {
  target: StatusTarget;
  intervalMs: number;
  /** `table` redraws in place; the others append one line per response. */
  form: 'table' | 'line' | 'json';
  paint: Paint;
  /** Rows of the terminal, asked at each drawing. */
  rows: () => number;
  write: (text: string) => void;
  /** Ends the watch when aborted. */
  signal: AbortSignal;
}

const CLEAR_LINE = '\u001b[K';
const CLEAR_REST = '\u001b[J';
/** Lines longer than the terminal is wide are cut, not wrapped: one row each. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

/** Shows the status at intervals, or why it cannot be fetched. */
export async function watchStatus(options: WatchOptions): Promise<void> {
  const { target, intervalMs, form, rows, write, signal } = options;
  let drawn = 0;
  while (!signal.aborted) {
    const now = new Date().toISOString();
    const status = await fetchStatus(target).catch((error: Error) => error);
    if (signal.aborted) return;
    if (form === 'table') {
      // One row is left, where the cursor stands.
      const lines = tableLines(status, now, options).slice(0, rows() - 1);
      write(redraw(lines, drawn));
      drawn = lines.length;
    } else {
      write(render(status, now, options));
    }
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Lines in place of those that were drawn last; what stands above them stays. */
function redraw(lines: readonly string[], drawn: number): string {
  const up = drawn === 0 ? '' : `\u001b[${drawn}A`;
  const text = lines.map((line) => `${line}${CLEAR_LINE}\n`).join('');
  return `${up}${NO_WRAP}${text}${CLEAR_REST}${WRAP}`;
}

function tableLines(
  status: StatusDocument | Error,
  now: string,
  { paint }: WatchOptions,
): string[] {
  const rows =
    status instanceof Error
      ? [paint('red', onOneLine(status.message))]
      : statusTable(status, paint);
  return [...rows, '', paint('dim', `${now}, press Ctrl-C to stop`)];
}

function render(
  status: StatusDocument | Error,
  now: string,
  { form, paint }: WatchOptions,
): string {
  if (form === 'json') {
    const document = status instanceof Error ? { error: { message: status.message } } : status;
    return `${printable(JSON.stringify(document))}\n`;
  }
  if (status instanceof Error) return `${now} ${paint('red', onOneLine(status.message))}\n`;
  const { connections, requests } = status;
  const counts = Object.entries({ ...connections, ...requests }).map(([kind, n]) => `${n} ${kind}`);
  return `${now} ${paint(statusColour(status.status), printable(status.status))}, ${printable(counts.join(', '))}\n`;
}
