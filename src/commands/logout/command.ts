import type { Command } from 'commander';
import type { CommandIo } from '../options.ts';

interface LogoutFlags {
  config?: string;
  revoke?: boolean;
}

export function addLogoutCommand(program: Command, io: CommandIo): void {
  program
    .command('logout')
    .description('remove the credential from auth.json')
    .option('--config <file>', 'configuration file (JSON)')
    .option('--revoke', 'revoke the refresh token at the backend first')
    .action(async (flags: LogoutFlags) => {
      const { logout } = await import('./index.ts');
      const { readSettings } = await import('../../sidecar/settings.ts');
      const settings = await readSettings(io.env, flags.config ?? null, {});
      for (const line of await logout(settings, flags.revoke ?? false)) io.print(line);
    });
}
