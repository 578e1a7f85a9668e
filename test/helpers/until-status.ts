import type { StatusDocument } from '../../src/admin/status.ts';
import { send } from './exchange.ts';

export async function readStatus(url: string): Promise<StatusDocument> {
  return JSON.parse((await send(`${url}/auth/status`)).text);
}

/** Asks a sidecar for its status until it is as `holds` says; the timeout of the test bounds it. */
export async function untilStatus(
  url: string,
  holds: (status: StatusDocument) => boolean,
): Promise<StatusDocument> {
  for (;;) {
    const status = await readStatus(url);
    if (holds(status)) return status;
  }
}

/** Whole exchanges with the sidecar during which nothing may happen for it to count as standstill. */
const QUIET_EXCHANGES = 30;

/**
 * Waits until `progress` stands still while the sidecar goes on serving others. Test, sidecar and
 * upstream share one event loop, so whatever can move does move between two exchanges.
 * @returns the last progress
 */
export async function untilStandstill(url: string, progress: () => number): Promise<number> {
  let last = progress();
  for (let quiet = 0; quiet < QUIET_EXCHANGES; quiet++) {
    await send(`${url}/livez`);
    if (progress() !== last) quiet = 0;
    last = progress();
  }
  return last;
}
