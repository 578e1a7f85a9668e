import { VERSION } from '../../src/version.ts';
import { codexPeer } from './codex.ts';
import { directPeer } from './direct.ts';
import { httpProxyPeer } from './http-proxy.ts';
import { nginxPeer } from './nginx.ts';
import type { MissingPeer, Peer } from './peer.ts';
import { type Emulated, sidecarPeer } from './sidecar.ts';

export interface FoundPeers {
  peers: Peer[];
  missing: MissingPeer[];
}

/** What this machine has. @param names null for all that there could be */
export function findPeers(emulated: Emulated, names: readonly string[] | null): FoundPeers {
  const all = [
    directPeer(),
    nginxPeer(),
    codexPeer(),
    httpProxyPeer(),
    sidecarPeer(emulated, VERSION),
  ].filter(({ name }) => names === null || names.includes(name));
  return {
    peers: all.filter((peer): peer is Peer => 'start' in peer),
    missing: all.filter((peer): peer is MissingPeer => 'reason' in peer),
  };
}
