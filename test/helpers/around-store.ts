import type { AuthStore } from '../../src/auth-store/store.ts';

/** A store that does some things in its own way, and hands on everything else. */
export function aroundStore(store: AuthStore, own: Partial<AuthStore>): AuthStore {
  return {
    location: store.location,
    writeRetriesMs: store.writeRetriesMs,
    lateWriterMs: store.lateWriterMs,
    refreshWaitMs: store.refreshWaitMs,
    load: () => store.load(),
    transact: (work) => store.transact(work),
    register: (work) => store.register(work),
    overwrite: (change) => store.overwrite(change),
    watch: (changed) => store.watch(changed),
    status: () => store.status(),
    observe: (observer) => store.observe(observer),
    close: () => store.close(),
    ...own,
  };
}
