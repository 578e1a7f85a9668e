import type { Command } from 'commander';
import { plainVariables } from '../../sidecar/settings.ts';
import { painter, wantsColour } from '../colour.ts';
import {
  type AddressFlags,
  type CommandIo,
  configLayer,
  parseSeconds,
  withAddress,
} from '../options.ts';

interface StatusFlags extends AddressFlags {
  url?: string;
  json?: boolean;
  watch?: number | true;
}

interface DoctorFlags extends AddressFlags {
  agentHome?: string;
  json?: boolean;
}

const WATCH_SECONDS = 2;

/** The commands that look at a sidecar, and at what it needs. */
export function addInspectCommands(program: Command, io: CommandIo): void {
  withAddress(program.command('status').description('ask a running sidecar how it is'))
    .option('--url <url>', 'address of the sidecar')
    .option('--json', 'print the answer of /auth/status')
    .option('--watch [seconds]', 'show it again and again, every 2 seconds', parseSeconds)
    .action(async (flags: StatusFlags) => {
      const { fetchStatus, statusTable, statusTarget } = await import('../status/client.ts');
      const { readSettings } = await import('../../sidecar/settings.ts');
      const target = flags.url
        ? { url: flags.url }
        : statusTarget(
            (await readSettings(io.env, flags.config ?? null, configLayer(flags))).config.listen,
          );
      const isTerminal = process.stdout.isTTY;
      const paint = painter(wantsColour(isTerminal, plainVariables(io.env)));
      if (flags.watch !== undefined) {
        const { watchStatus } = await import('../status/watch.ts');
        const seconds = flags.watch === true ? WATCH_SECONDS : flags.watch;
        await watchStatus({
          target,
          intervalMs: seconds * 1000,
          form: flags.json ? 'json' : isTerminal ? 'table' : 'line',
          paint,
          write: (text) => void process.stdout.write(text),
          signal: interrupted(),
        });
        return;
      }
      const status = await fetchStatus(target);
      if (flags.json) io.print(JSON.stringify(status));
      else for (const line of statusTable(status, paint)) io.print(line);
      if (status.status !== 'ready' && status.status !== 'degraded') io.fail();
    });

  withAddress(program.command('doctor').description('check everything that a request needs'))
    .option('--agent-home <folder>', "the agent's CODEX_HOME, where it is not the sidecar's")
    .option('--json', 'print the findings as JSON')
    .action(async (flags: DoctorFlags) => {
      const { doctor } = await import('./index.ts');
      const { findingLine, isUnicode } = await import('./finding.ts');
      const unicode = isUnicode(plainVariables(io.env));
      const findings = await doctor({
        env: io.env,
        configFile: flags.config ?? null,
        flags: configLayer(flags),
        agentHome: flags.agentHome ?? null,
        nodeVersion: process.versions.node,
        report: (finding) => {
          if (!flags.json) io.print(findingLine(finding, unicode));
        },
      });
      if (flags.json) io.print(JSON.stringify(findings));
      if (findings.some(({ outcome }) => outcome === 'failure')) io.fail();
    });
}

/** Ends with the first signal that asks for it; the exit code stays what it is. */
function interrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}
