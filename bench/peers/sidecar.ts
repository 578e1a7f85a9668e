import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { VERSION } from '../../src/base/version.ts';
import type { Stage } from '../stage.ts';
import { Child, readWhole } from './children.ts';
import { originOf, type Peer, type PeerName, type Place, type RunningPeer } from './peer.ts';

/** What ships. BENCH_PROGRAM names another, for instance one whose profile shows where code comes from. */
export const PROGRAM = process.env.BENCH_PROGRAM ?? 'dist/cli.js';
/** The same before it is bundled. */
export const UNBUNDLED = '.build/program/cli.js';

/** The `upstream` section that points a sidecar at the emulated backend. */
export type Emulated = Record<string, string>;

/** Starts the emulated backend, at which the sidecar registers its identity; puts a login there. */
export async function startEmulator(stage: Stage): Promise<Emulated> {
  const { folder } = stage.place;
  const output = join(folder, 'emulator.txt');
  const home = join(folder, 'codex-home');
  const child = new Child(
    process.execPath,
    [PROGRAM, 'emulator', '--port', '0', '--codex-home', home],
    { stdio: ['ignore', openSync(output, 'w'), 'pipe'] },
  );
  stage.atClose(() => child.stop());
  return child.until(() => {
    const text = readFileSync(output, 'utf8');
    // The line after the settings.
    if (!text.includes('auth.json')) return null;
    const settings = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
    // No sign-in is measured, and a `--baseline` from before the key refuses a configuration with it.
    const { oauthIssuer: _, ...upstream } = (JSON.parse(settings) as { upstream: Emulated })
      .upstream;
    return upstream;
  });
}

/** Arguments and environment of a sidecar with a default configuration and a registered identity. */
export function sidecarCommand(
  place: Place,
  emulated: Emulated,
  program = PROGRAM,
  upstream: { caFile?: string | null } = {},
  more: object = {},
): { args: string[]; env: Record<string, string>; info: string } {
  const home = join(place.folder, 'codex-home');
  const config = join(place.folder, 'config.json');
  const info = join(place.folder, 'sidecar.json');
  mkdirSync(home, { recursive: true });
  writeFileSync(
    config,
    JSON.stringify({
      listen: { port: 0 },
      codexHome: home,
      agentIdentity: { policy: 'chatgptAuth' },
      ...more,
      upstream: {
        ...emulated,
        chatgptBaseUrl: `${originOf(place)}/backend-api`,
        proxy: null,
        ...upstream,
      },
    }),
  );
  rmSync(info, { force: true });
  return {
    args: [program, 'serve', '--config', config, '--server-info', info],
    env: { PATH: process.env.PATH ?? '', HOME: place.folder },
    info,
  };
}

/** This project: the built program with its default log level, into a file. */
export function sidecarPeer(emulated: Emulated): Peer {
  const description = `codex-auth-sidecar ${VERSION}, Node ${process.versions.node}`;
  return builtPeer('sidecar', description, PROGRAM, emulated);
}

/** The same with the certificate of the upstream in `upstream.caFile`, not in the environment. */
export function caFilePeer(emulated: Emulated): Peer {
  return builtPeer('sidecar-cafile', 'sidecar with upstream.caFile', PROGRAM, emulated);
}

/** Another build of the sidecar, to compare with. @param folder see {@link programOf} */
export function baselinePeer(folder: string, emulated: Emulated): Peer {
  const program = programOf(folder);
  return builtPeer('baseline', `codex-auth-sidecar, ${program}`, program, emulated);
}

/**
 * The program of another build.
 * @param folder holds `package.json`, `dist` and `node_modules` (or a link to them)
 */
export function programOf(folder: string): string {
  const program = join(resolve(folder), 'dist/cli.js');
  if (!existsSync(program)) throw new Error(`--baseline ${folder}: there is no ${program}`);
  return program;
}

/** Another Node to compare with. */
export interface OtherNode {
  name: PeerName;
  version: string;
  program: string;
}

/** @param program path of a `node` */
export function otherNode(program: string): OtherNode {
  const version = execFileSync(program, ['-p', 'process.versions.node'], {
    encoding: 'utf8',
  }).trim();
  return { name: `node-${version}`, version, program };
}

/** The same build on another Node. */
export function otherNodePeer({ name, version, program }: OtherNode, emulated: Emulated): Peer {
  const description = `codex-auth-sidecar ${VERSION}, Node ${version}`;
  return builtPeer(name, description, PROGRAM, emulated, program);
}

/** What is true of every sidecar. */
export const SIDECAR = {
  credential: 'AgentAssertion ',
  upgrades: true,
  speaksTls: true,
  isNode: true,
} as const;

function builtPeer(
  name: PeerName,
  description: string,
  program: string,
  emulated: Emulated,
  node = process.execPath,
): Peer {
  const start = (place: Place) => startSidecar(place, emulated, { name, program, node });
  return { name, description, ...SIDECAR, start };
}

/** @param more of the configuration; `program` is the built one and `node` this one by default */
export async function startSidecar(
  place: Place,
  emulated: Emulated,
  {
    name,
    program = PROGRAM,
    node = process.execPath,
    more = {},
  }: { name: string; program?: string; node?: string; more?: object },
): Promise<RunningPeer> {
  const { caFile } = place;
  const inFile = name === 'sidecar-cafile';
  const upstream = inFile ? { caFile } : {};
  const { args, env, info } = sidecarCommand(place, emulated, program, upstream, more);
  if (caFile !== null && !inFile) env.NODE_EXTRA_CA_CERTS = caFile;
  const log = openSync(join(place.folder, `${name}.log`), 'a');
  // For a profile, e.g. "--cpu-prof --cpu-prof-dir=/tmp/profile".
  const flags = process.env.BENCH_NODE_FLAGS?.split(' ') ?? [];
  const child = new Child(node, [...flags, ...args], {
    env,
    stdio: ['ignore', log, 'pipe'],
  });
  const { port } = await child.until(() => readWhole<{ port: number }>(info));
  await child.until(async () => ((await isReady(port)) ? true : null));
  const target = { port, path: '/backend-api/codex/responses' };
  return { target, pid: child.pid, stop: () => child.stop() };
}

/** Whether a sidecar could authenticate a request now. */
export async function isReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
  await response?.arrayBuffer();
  return response?.status === 200;
}
