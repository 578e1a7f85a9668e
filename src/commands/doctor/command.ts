import type { Command } from 'commander';
import { plainVariables } from '../../sidecar/settings.ts';
import {
  type AddressFlags,
  type CommandIo,
  configLayer,
  parsePath,
  withAddress,
} from '../options.ts';

interface DoctorFlags extends AddressFlags {
  agentHome?: string;
  json?: boolean;
}

export function addDoctorCommand(program: Command, io: CommandIo): void {
  withAddress(program.command('doctor').description('check everything that a request needs'))
    .option(
      '--agent-home <folder>',
      "the agent's CODEX_HOME, where it is not the sidecar's",
      parsePath,
    )
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
