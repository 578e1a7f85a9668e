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
      const { withStore } = await import('../store/with-store.ts');
      const revoke = flags.revoke ?? false;
      const lines = await withStore(settings, io.warn, (store) => logout(store, settings, revoke));
      for (const line of lines) io.print(line);
    });
}
