import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../base/json.ts';
import type { Environment } from '../../sidecar/settings.ts';
import { parseToml, type Table } from '../codex/config-toml.ts';
import { agentHome, holdsLogin } from '../codex/home.ts';
import type { ChildHome } from './child-environment.ts';
import { withIsolatedHome } from './isolated-home.ts';
import { stateFolder } from './log.ts';
import { PrivateHome } from './private-home.ts';

/** Which `CODEX_HOME` the program gets: one of its own that lasts, yours, or a copy that is removed. */
export type HomeChoice = 'private' | 'shared' | 'temporary';

interface ChildHomeOptions {
  choice: HomeChoice;
  env: Environment;
  /** Whether the program is Codex. */
  isCodex: boolean;
  /** Prints one line for the user. */
  warn: (line: string) => void;
}

/** What a private home needs of the sidecar, and the sidecar of it. */
interface SignIn {
  /** The phantom login for the home. */
  login: (clientToken: string) => JsonObject;
  /** Has the sidecar take the token of the home. */
  useToken: (clientToken: string) => void;
}

/** Runs `work` with the home of the child; null keeps the inherited one. */
export async function withChildHome<T>(
  { choice, env, isCodex, warn }: ChildHomeOptions,
  { login, useToken }: SignIn,
  work: (home: ChildHome | null) => Promise<T>,
): Promise<T> {
  const real = agentHome(env);
  if (choice === 'temporary') {
    const inHome = (path: string) => work({ path, shared: null });
    return withIsolatedHome(real, stateFolder(env), warn, inHome);
  }
  if (choice === 'shared') {
    if (isCodex && (await holdsLogin(real))) {
      warn(
        `the agent can read the login in ${real}; without --share-home it gets a home without a login`,
      );
    }
    return work(null);
  }
  const home = await PrivateHome.open(env, stateFolder(env), warn);
  try {
    useToken(home.clientToken);
    await home.signIn(login(home.clientToken));
    const shared = { path: home.real, config: await readConfig(home.real) };
    return await work({ path: home.path, shared });
  } finally {
    await home.close();
  }
}

/** Empty when there is none, or one that Codex will refuse with a better reason. */
async function readConfig(home: string): Promise<Table> {
  try {
    return parseToml(await readFile(join(home, 'config.toml'), 'utf8'));
  } catch {
    return {};
  }
}
