import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer, Place, RunningPeer } from './peer.ts';
import { type Emulated, SIDECAR, startSidecar } from './sidecar.ts';

/** Client tokens by what is done with the responses of the client. */
const TOKENS = { read: 'token-of-read', unread: 'token-of-unread' } as const;

/**
 * One sidecar with two clients. `usage.enabled` is `false`, so the responses of the one pass unread;
 * the other one has a limit of tokens, for which they are read in any case. Two processes of one program
 * differ by more than reading costs.
 */
export function readerPeers(emulated: Emulated): Peer[] {
  let running: Promise<RunningPeer> | null = null;
  let users = 0;
  const peer = (name: Peer['name'], token: string, description: string): Peer => ({
    name,
    description,
    ...SIDECAR,
    start: async (place) => {
      running ??= startReader(place, emulated);
      users++;
      const { target, pid, stop } = await running;
      const leave = async () => {
        users--;
        if (users > 0) return;
        running = null;
        await stop();
      };
      return { target: { ...target, token }, pid, stop: leave };
    },
  });
  return [
    peer('sidecar', TOKENS.read, 'a client with a limit of tokens'),
    peer(
      'sidecar-unread',
      TOKENS.unread,
      'another client of that sidecar, whose usage is not read',
    ),
  ];
}

function startReader(place: Place, emulated: Emulated): Promise<RunningPeer> {
  const tokensFile = join(place.folder, 'tokens');
  const line = (name: string, token: string, limits: string) =>
    `${name}:${createHash('sha256').update(token).digest('hex')} ${limits}\n`;
  writeFileSync(
    tokensFile,
    line('read', TOKENS.read, 'output-tokens=1000000000000') + line('unread', TOKENS.unread, ''),
    { mode: 0o600 },
  );
  return startSidecar(place, emulated, {
    name: 'sidecar-reader',
    more: { clients: { tokensFile }, usage: { enabled: false } },
  });
}
