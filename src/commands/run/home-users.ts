import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { holdFileLock, LockError, withFileLock, withLockIfPossible } from '../../files/lock.ts';
import { makeFolder } from '../../files/ownership.ts';

/** The longest that somebody else may need to begin or to end. */
const WAIT_SECONDS = 60;
/** Nobody who holds the lock of a run lets go of it soon. A machine too slow for this counts as one in use. */
const PROBE_SECONDS = 0.25;

/**
 * The runs that use one home. Each holds a lock of its own for as long as it lives, which the kernel
 * releases when it is killed.
 */
export class HomeUsers {
  readonly #entrance: string;
  readonly #folder: string;
  readonly #own = `${randomBytes(6).toString('hex')}.lock`;
  #release: (() => Promise<void>) | null = null;

  private constructor(place: string) {
    this.#entrance = `${place}.lock`;
    this.#folder = `${place}.runs`;
  }

  /** @param place where the names of lock files begin */
  static async open(place: string): Promise<HomeUsers> {
    const users = new HomeUsers(place);
    await makeFolder(users.#folder);
    return users;
  }

  /**
   * Does `work` while no other run begins or ends, and counts this run as a user from then on.
   * @param work told whether no other run uses the home; never true where no lock can be taken
   */
  whileNobodyComes<T>(work: (alone: boolean) => Promise<T>): Promise<T> {
    const enter = async () => work(await this.#isAlone());
    return withLockIfPossible(this.#entrance, WAIT_SECONDS, enter, () => undefined);
  }

  async leave(): Promise<void> {
    await this.#release?.();
    await rm(join(this.#folder, this.#own), { force: true });
  }

  async #isAlone(): Promise<boolean> {
    try {
      // Nobody else knows this one. Where it fails, the locks of others tell nothing.
      this.#release ??= await holdFileLock(join(this.#folder, this.#own), WAIT_SECONDS);
      for (const name of await readdir(this.#folder)) {
        if (name === this.#own) continue;
        const path = join(this.#folder, name);
        await withFileLock(path, PROBE_SECONDS, () => rm(path, { force: true }));
      }
      return true;
    } catch (error) {
      if (error instanceof LockError) return false;
      throw error;
    }
  }
}
