import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresRegister } from '../../src/auth-store/postgres-register.ts';
import { parseServers } from '../../src/auth-store/postgres-url.ts';
import { FileSealer } from '../../src/auth-store/sealing.ts';
import { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { createLogger, type Logger } from '../../src/base/logger.ts';
import { timerSchedule } from '../../src/base/schedule.ts';

export interface StoreOptions {
  /** Lines of the URL file. */
  urls: string;
  keyFile: string;
  replica?: string;
  name?: string;
  /** How many times faster every pause and every limit passes; default 10. */
  haste?: number;
  /** How often it looks at the row; default 200. */
  pollMs?: number;
  /** Gets what a store logs; nobody by default. */
  log?: Logger;
}

/** A shared store on a real database, whose pauses are shorter. */
export function openStore(options: StoreOptions): SharedAuthStore {
  const { urls, keyFile, replica = 'test', name = 'default', haste = 10, pollMs = 200 } = options;
  const { log = createLogger({ level: 'silent' }) } = options;
  const monotonicNow = () => performance.now() * haste;
  const servers = parseServers(urls);
  return new SharedAuthStore({
    register: new PostgresRegister({
      name,
      servers: async () => servers,
      first: servers[0],
      ca: null,
      monotonicNow,
    }),
    sealer: new FileSealer(keyFile, name, log),
    replica,
    now: Date.now,
    monotonicNow,
    log,
    schedule: timerSchedule,
    sleep,
    pollMs,
  });
}
