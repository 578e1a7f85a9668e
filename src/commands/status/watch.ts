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
  write: (text: string) => void;
  /** Ends the watch when aborted. */
  signal: AbortSignal;
}

const CLEAR = '\u001b[2J';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_REST = '\u001b[J';

/** Shows the status at intervals, or why it cannot be fetched. */
export async function watchStatus(options: WatchOptions): Promise<void> {
  const { target, intervalMs, form, write, signal } = options;
  if (form === 'table') write(CLEAR);
  while (!signal.aborted) {
    const now = new Date().toISOString();
    const status = await fetchStatus(target).catch((error: Error) => error);
    if (signal.aborted) return;
    write(render(status, now, options));
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

function render(
  status: StatusDocument | Error,
  now: string,
  { form, paint }: WatchOptions,
): string {
  if (form === 'table') {
    const rows =
      status instanceof Error
        ? [paint('red', onOneLine(status.message))]
        : statusTable(status, paint);
    const lines = [...rows, '', paint('dim', `${now}, press Ctrl-C to stop`)];
    return HOME + lines.map((line) => `${line}${CLEAR_LINE}\n`).join('') + CLEAR_REST;
  }
  if (form === 'json') {
    const document = status instanceof Error ? { error: { message: status.message } } : status;
    return `${printable(JSON.stringify(document))}\n`;
  }
  if (status instanceof Error) return `${now} ${paint('red', onOneLine(status.message))}\n`;
  const { connections, requests } = status;
  const counts = Object.entries({ ...connections, ...requests }).map(([kind, n]) => `${n} ${kind}`);
  return `${now} ${paint(statusColour(status.status), printable(status.status))}, ${printable(counts.join(', '))}\n`;
}
