import { bareNodePeer } from './bare-node.ts';
import { codexPeer } from './codex.ts';
import { directPeer } from './direct.ts';
import { fastifyFloorPeer } from './fastify-floor.ts';
import { httpProxyPeer } from './http-proxy.ts';
import { nginxPeer } from './nginx.ts';
import type { MissingPeer, Peer } from './peer.ts';
import {
  baselinePeer,
  caFilePeer,
  type Emulated,
  type OtherNode,
  otherNodePeer,
  sidecarPeer,
} from './sidecar.ts';

export interface FoundPeers {
  peers: Peer[];
  missing: MissingPeer[];
}

/** What takes part besides the usual peers. */
export interface Others {
  /** Folder of another build of the sidecar; null for none. */
  baseline: string | null;
  nodes: readonly OtherNode[];
}

/**
 * What this machine has.
 * @param names null for all that there could be; the others need not be listed
 */
export function findPeers(
  emulated: Emulated,
  names: readonly string[] | null,
  { baseline, nodes }: Others,
): FoundPeers {
  const all = [
    directPeer(),
    nginxPeer(),
    codexPeer(),
    bareNodePeer(),
    httpProxyPeer(),
    fastifyFloorPeer(),
    sidecarPeer(emulated),
    caFilePeer(emulated),
  ].filter(({ name }) => names === null || names.includes(name));
  if (baseline !== null) all.push(baselinePeer(baseline, emulated));
  for (const node of nodes) all.push(otherNodePeer(node, emulated));
  return {
    peers: all.filter((peer): peer is Peer => 'start' in peer),
    missing: all.filter((peer): peer is MissingPeer => 'reason' in peer),
  };
}
