import { type Command, Option } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { printable } from '../../base/printable.ts';
import { plainVariables } from '../../sidecar/settings.ts';
import { painter, wantsColour } from '../colour.ts';
import {
  type AddressFlags,
  type CommandIo,
  configLayer,
  parseSeconds,
  withAddress,
} from '../options.ts';
import { standardOutput } from '../standard-output.ts';
import type { StatusTarget } from './ask.ts';

interface StatusFlags extends AddressFlags {
  url?: string;
  json?: boolean;
  clients?: boolean;
  watch?: number | true;
}

const WATCH_SECONDS = 2;

export function addStatusCommand(program: Command, io: CommandIo): void {
  withAddress(program.command('status').description('show the status of a running sidecar'))
    .option('--url <url>', 'address of the sidecar')
    .option('--json', 'print the response of the sidecar')
    .option('--clients', 'show what each client took, and the limits of the account')
    .addOption(
      new Option('--watch [seconds]', 'repeat every few seconds (default 2)')
        .argParser(parseSeconds)
        .conflicts('clients'),
    )
    .action(async (flags: StatusFlags) => {
      const target = await targetOf(flags, io);
      if (flags.clients) await showClients(target, flags, io);
      else if (flags.watch === undefined) await showOnce(target, flags, io);
      else await watch(target, flags.watch === true ? WATCH_SECONDS : flags.watch, flags, io);
    });
}

export function addHealthcheckCommand(program: Command, io: CommandIo): void {
  withAddress(
    program.command('healthcheck').description('exit 0 when a running sidecar is ready, else 1'),
  ).action(async (flags: AddressFlags) => {
    const { healthcheck } = await import('./healthcheck.ts');
    const problem = await healthcheck(io.env, flags.config ?? null, configLayer(flags));
    if (problem !== null) throw new Error(`not ready: ${problem}`);
  });
}

async function targetOf(flags: StatusFlags, { env }: CommandIo): Promise<StatusTarget> {
  if (flags.url) return { url: flags.url, authorities: await authoritiesFor(flags.url, env) };
  const { operatorTarget, statusTarget } = await import('./ask.ts');
  const { readSettings } = await import('../../sidecar/settings.ts');
  const { config } = await readSettings(env, flags.config ?? null, configLayer(flags));
  const { host, port, socket } = flags;
  const isNamed = (host ?? port ?? socket) !== undefined;
  return isNamed ? statusTarget(config.listen) : operatorTarget(config);
}

/** Read only where they are needed. */
async function authoritiesFor(url: string, env: CommandIo['env']): Promise<string[]> {
  if (!url.startsWith('https:')) return [];
  const { readAuthoritiesOf } = await import('../../sidecar/authorities.ts');
  const { trustOf } = await import('../../sidecar/settings.ts');
  return readAuthoritiesOf(trustOf(env));
}

async function showOnce(target: StatusTarget, { json }: StatusFlags, io: CommandIo): Promise<void> {
  const { fetchStatus } = await import('./client.ts');
  const { statusTable } = await import('./table.ts');
  const { isUsable } = await import('../../admin/status.ts');
  const status = await fetchStatus(target);
  if (json) io.print(printable(JSON.stringify(status)));
  else for (const line of statusTable(status, paintFor(io))) io.print(line);
  if (!isUsable(status.status)) io.fail();
}

async function showClients(
  target: StatusTarget,
  { json }: StatusFlags,
  io: CommandIo,
): Promise<void> {
  const { fetchClients } = await import('./client.ts');
  const { clientsTable } = await import('./clients-table.ts');
  const clients = await fetchClients(target);
  if (json) io.print(printable(JSON.stringify(clients)));
  else for (const line of clientsTable(clients, systemClock())) io.print(line);
}

async function watch(
  target: StatusTarget,
  seconds: number,
  { json }: StatusFlags,
  io: CommandIo,
): Promise<void> {
  const { watchStatus } = await import('./watch.ts');
  await watchStatus({
    target,
    intervalMs: seconds * 1000,
    form: json ? 'json' : process.stdout.isTTY ? 'table' : 'line',
    paint: paintFor(io),
    rows: () => process.stdout.rows || Number.POSITIVE_INFINITY,
    write: (text) => void standardOutput().write(text),
    signal: interrupted(),
  });
}

function paintFor({ env }: CommandIo) {
  return painter(wantsColour(process.stdout.isTTY, plainVariables(env)));
}

/** Aborts at the first SIGINT or SIGTERM; the exit code stays what it is. */
function interrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}
