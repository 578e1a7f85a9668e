import type { Command } from 'commander';
import { readSettings } from '../../sidecar/settings.ts';
import { addGroup } from '../group.ts';
import type { CommandIo } from '../options.ts';

interface Flags {
  config?: string;
  print?: boolean;
  role?: string;
}

/** Adds `store init`, `key`, `rekey`, `status` and `export` to the command line. */
export function addStoreCommand(program: Command, io: CommandIo): void {
  const store = addGroup(program, 'store', 'look after the shared store of a login');
  const add = (name: string, description: string) =>
    store
      .command(name)
      .description(description)
      .option('--config <file>', 'configuration file (JSON)');
  const settings = (flags: Flags) => readSettings(io.env, flags.config ?? null, {});

  add('init', 'make the table; needs a role that may')
    .option('--print', 'print the SQL and do nothing')
    .option('--role <name>', 'grant what a sidecar needs to this role')
    .action(async (flags: Flags) => {
      const { initStore, initSql } = await import('./index.ts');
      const role = flags.role ?? null;
      if (flags.print) io.print(initSql(role).trimEnd());
      else io.print(await initStore(await settings(flags), role));
    });
  store
    .command('key')
    .description('print a new key file; store.keyFile names it then')
    .action(async () => {
      const { KeyRing } = await import('../../auth-store/sealing.ts');
      io.print(await KeyRing.generate());
    });
  add('rekey', 'seal the login with the first key of store.keyFile').action(
    async (flags: Flags) => {
      const { rekey } = await import('./index.ts');
      io.print(await rekey(await settings(flags)));
    },
  );
  add('status', 'show the row of the login, without secrets, as JSON').action(
    async (flags: Flags) => {
      const { storeStatus } = await import('./index.ts');
      io.print(JSON.stringify(await storeStatus(await settings(flags)), null, 2));
    },
  );
  add('export', 'move the login into auth.json, and out of the store').action(
    async (flags: Flags) => {
      const { exportLogin } = await import('./index.ts');
      io.print(await exportLogin(await settings(flags)));
    },
  );
}
