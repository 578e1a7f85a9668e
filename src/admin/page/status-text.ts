import type { StatusDocument } from '../status.ts';
import { formatSeconds } from './format.ts';

/** What the page says of parts of the status, each in one line; pure, and tested without a browser. */

type Certificate = NonNullable<StatusDocument['listener']['certificate']>;

/** How long a certificate is valid, and whether a newer one was refused. */
export function certificateText({ expiresAt, problem }: Certificate, now: number): string {
  const left = (Date.parse(expiresAt) - now) / 1_000;
  const validity = left <= 0 ? 'has expired' : `ends in ${formatSeconds(left)}`;
  return problem === null ? validity : `${validity}; a newer one was refused`;
}

/** null where there is nothing to say: a file that holds what it should. */
export function storeText(store: StatusDocument['store']): string | null {
  if (store.kind === 'file') return store.unwritten ? `${store.location}, not up to date` : null;
  const { location, reachable, refresh, unwritten } = store;
  const troubles = [
    reachable ? null : 'unreachable',
    unwritten ? 'new tokens unwritten' : null,
    refresh.state === 'idle' ? null : `refresh ${refresh.state} (${refresh.by})`,
  ].filter((trouble) => trouble !== null);
  return [location, ...troubles].join(' · ');
}
