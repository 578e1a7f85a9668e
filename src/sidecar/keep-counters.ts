import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { timerSchedule } from '../base/schedule.ts';
import type { ClientCounters } from '../clients/counters.ts';
import { CountersFile } from '../clients/counters-file.ts';
import { SharedCounters } from '../clients/shared-counters.ts';
import type { LiveConfig } from './live-config.ts';
import { databaseOf } from './open-store.ts';
import type { Settings } from './settings.ts';

/** Where the counts of the clients are kept beside the memory of this process. */
export interface KeptCounters {
  close(): Promise<void>;
}

/**
 * Keeps the counts where the settings say: with the other sidecars of a shared store, or in a file.
 * @returns null: in memory alone
 * @throws ConfigError when the file cannot be used
 */
export async function keepCounters(
  settings: Settings,
  { counters, live }: { counters: ClientCounters; live: LiveConfig },
  log: Logger,
): Promise<KeptCounters | null> {
  const { store, usage } = settings.config;
  const schedule = timerSchedule;
  if (store.kind === 'postgres') {
    // A sidecar with a file needs nothing of it.
    const { PostgresUsage } = await import('../auth-store/postgres-usage.ts');
    const engine = new PostgresUsage({ name: store.name, ...(await databaseOf(settings)) });
    const isNeeded = () => live.hasLimits;
    const deps = { counters, engine, isNeeded, log, now: systemClock, schedule };
    const shared = new SharedCounters(deps);
    void shared.start();
    return shared;
  }
  if (usage.file === null) return null;
  return CountersFile.open(usage.file, {
    tokens: counters.tokens,
    log,
    now: systemClock(),
    schedule,
  });
}
