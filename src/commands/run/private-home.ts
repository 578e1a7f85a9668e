import { createHash, randomBytes } from 'node:crypto';
import { readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { errnoOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { withLockIfPossible } from '../../files/lock.ts';
import { makeFolder } from '../../files/ownership.ts';
import { replaceFile } from '../../files/replace-file.ts';
import type { Environment } from '../../sidecar/settings.ts';
import { agentHome } from '../codex/home.ts';
import { writePhantomLogin } from '../codex/phantom-file.ts';
import { giveBack } from './give-back.ts';
import { HomeUsers } from './home-users.ts';
import { linkOutside } from './outside-files.ts';
import { linkShared } from './shared-entries.ts';

type Warn = (line: string) => void;

/**
 * A Codex home that programs of `run` have for themselves, and that lasts: there is one for each real
 * home. What is in it are links into the real home, but for the login, caches, and what belongs to
 * running processes.
 */
export class PrivateHome {
  readonly path: string;
  /** The home that it is made from. */
  readonly real: string;
  /** The same for all runs at once, because the home has one login. */
  readonly clientToken: string;
  readonly #users: HomeUsers;
  readonly #tidy: (alone: boolean) => Promise<void>;
  readonly #warn: Warn;

  private constructor(paths: Paths, clientToken: string, users: HomeUsers, warn: Warn) {
    this.path = paths.own;
    this.real = paths.real;
    this.clientToken = clientToken;
    this.#users = users;
    this.#tidy = (alone) => tidy(paths, alone, warn);
    this.#warn = warn;
  }

  /**
   * @param env names the real home, which is made where it is missing
   * @param state folder of ours in which homes are kept
   * @param warn prints one line for the user
   * @throws Error of one line when there can be no such home
   */
  static async open(env: Environment, state: string, warn: Warn): Promise<PrivateHome> {
    const paths = pathsOf(await realHome(env), state);
    try {
      await makeFolder(paths.own);
      const users = await HomeUsers.open(paths.place);
      const enter = async (alone: boolean) => {
        await tidy(paths, alone, warn);
        return clientTokenIn(`${paths.place}.token`, alone);
      };
      const clientToken = await users.whileNobodyComes(enter).catch(async (error: unknown) => {
        await users.leave();
        throw error;
      });
      return new PrivateHome(paths, clientToken, users, warn);
    } catch (error) {
      const problem = error instanceof Error ? error.message : errnoOf(error);
      throw new Error(
        `cannot make the program's home ${paths.own} (${problem}); set XDG_STATE_HOME to a folder that can be written, or use --isolate-home`,
        { cause: error },
      );
    }
  }

  /**
   * Has Codex signed in there with a phantom login.
   * @throws Error of one line when somebody has signed in there otherwise
   */
  async signIn(login: JsonObject): Promise<void> {
    await writePhantomLogin(this.path, login, (path, seconds, work) =>
      // Other runs write the same, but for the address.
      withLockIfPossible(path, seconds, work, () => undefined),
    );
  }

  /**
   * Moves what is new in it to the real home, unless another run uses it; the last one does then. What
   * a killed run leaves waits for the next one. Never rejects.
   */
  async close(): Promise<void> {
    await this.#users.whileNobodyComes(this.#tidy).catch((error: unknown) => {
      const problem = error instanceof Error ? error.message : errnoOf(error);
      this.#warn(`what is new in ${this.path} waits there for the next run (${problem})`);
    });
    await this.#users.leave();
  }
}

interface Paths {
  real: string;
  own: string;
  /** Folder that holds the home; what we note of it has names that begin with this. */
  place: string;
}

/** Below the place, the home has the path of the real one; see {@link linkOutside}. */
function pathsOf(real: string, state: string): Paths {
  const id = createHash('sha256').update(real).digest('hex').slice(0, 8);
  const place = join(state, 'agent-home', id);
  return { real, own: join(place, real), place };
}

/** As Codex reads it: a `CODEX_HOME` without links, the default one as it is. */
async function realHome(env: Environment): Promise<string> {
  const path = resolve(agentHome(env));
  await makeFolder(path);
  return env.CODEX_HOME?.trim() ? realpath(path) : path;
}

async function tidy({ real, own, place }: Paths, alone: boolean, warn: Warn): Promise<void> {
  const linked = `${place}.linked`;
  if (alone) {
    const linkedAt = (await stat(linked).catch(() => null))?.ctimeMs ?? null;
    await giveBack(own, real, { linkedAt, now: systemClock(), warn });
  }
  await linkShared(real, own);
  await linkOutside(real, place);
  // What others have changed in their runs is still to be given back.
  if (alone) await writeFile(linked, 'The time of this file tells when all links were there.\n');
}

async function clientTokenIn(path: string, alone: boolean): Promise<string> {
  const known = alone ? '' : (await readFile(path, 'utf8').catch(() => '')).trim();
  if (/^[\w-]{32}$/.test(known)) return known;
  const token = randomBytes(24).toString('base64url');
  await replaceFile(path, `${token}\n`);
  return token;
}
