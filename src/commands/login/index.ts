import { basename, dirname, resolve } from 'node:path';
import { decodeIdentityToken } from '../../agent-identity/identity-token.ts';
import {
  type AuthDocument,
  NO_CREDENTIAL,
  parseAuthDocument,
  parseAuthJson,
} from '../../auth-store/auth-document.ts';
import { FileAuthStore } from '../../auth-store/file-store.ts';
import { readForeignLayout } from '../../auth-store/foreign-layout.ts';
import type { AuthStore } from '../../auth-store/store.ts';
import { systemClock } from '../../base/clock.ts';
import { ConfigError, invalidCredential, SidecarError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { selectCredential } from '../../credentials/selection.ts';
import { readNamedFile } from '../../sidecar/settings.ts';

/** What `login` stores: a single token, or a whole Codex auth.json. */
export type LoginInput =
  | { kind: 'agentIdentity' | 'accessToken' | 'apiKey'; readToken: () => Promise<string> }
  | { kind: 'import'; path: string; take: boolean };

/**
 * Checks a credential and stores it in the store in use. Fields that this program does not know stay.
 * @returns one line that says what was stored
 */
export async function login(store: AuthStore, input: LoginInput): Promise<string> {
  const change = await checkedChange(input).catch((error: unknown) => {
    throw input.kind === 'import' ? naming(input.path, error) : error;
  });
  await store.overwrite(change);
  return `stored in ${store.location}`;
}

/**
 * Moves a login: the file gives it up as soon as the store holds it, under the lock of its folder,
 * so that it has one owner at any time.
 * @returns one line that says what was stored
 */
export async function takeLogin(store: AuthStore, input: LoginInput): Promise<string> {
  if (input.kind !== 'import') throw new ConfigError('--take goes with --import');
  const folder = dirname(resolve(input.path));
  if (basename(input.path) !== 'auth.json') {
    throw new ConfigError(`--take needs a file called auth.json, which ${input.path} is not`);
  }
  const file = new FileAuthStore(folder);
  if (file.location === store.location) {
    throw new ConfigError(
      `--take: ${input.path} is the store itself; set store.kind to "postgres"`,
    );
  }
  return file.transact(async ({ current, write }) => {
    // Its fields are not ours to take out, and it would still hold the login.
    if (current?.foreignTool) {
      throw new ConfigError(
        `--take: ${input.path} has the layout of ${current.foreignTool}; import it without --take, and sign out there`,
      );
    }
    const stored = await login(store, input);
    await write(NO_CREDENTIAL);
    return `${stored}; ${file.location} no longer holds it`;
  });
}

async function checkedChange(input: LoginInput): Promise<Record<string, unknown>> {
  const change = await changeFor(input);
  await checkUsable(parseAuthDocument(JSON.stringify(change)));
  return change;
}

/** Names the imported file in the error, rather than the auth.json that it would become. */
function naming(path: string, error: unknown): unknown {
  if (!(error instanceof SidecarError)) return error;
  return new SidecarError(error.code, error.message.replace(/^auth\.json/, path));
}

/** Checks that a sidecar could start with this credential alone. */
async function checkUsable(document: AuthDocument): Promise<void> {
  if (document.isEmpty) throw invalidCredential('auth.json', 'holds no credential');
  const nothing = { apiKey: null, accessToken: null, agentIdentity: null };
  await selectCredential(nothing, async () => document);
}

async function changeFor(input: LoginInput): Promise<Record<string, unknown>> {
  if (input.kind === 'import') return importedChange(input.path);
  const token = (await input.readToken()).trim();
  if (token === '') throw new ConfigError('standard input holds no token');
  switch (input.kind) {
    case 'apiKey':
      return { ...NO_CREDENTIAL, auth_mode: 'apikey', OPENAI_API_KEY: token };
    case 'agentIdentity':
      decodeIdentityToken(new Secret(token), systemClock());
      return { ...NO_CREDENTIAL, auth_mode: 'agentIdentity', agent_identity: token };
    case 'accessToken':
      if (token.startsWith('at-')) {
        return { ...NO_CREDENTIAL, auth_mode: 'personalAccessToken', personal_access_token: token };
      }
      decodeIdentityToken(new Secret(token), systemClock());
      return { ...NO_CREDENTIAL, auth_mode: 'agentIdentity', agent_identity: token };
  }
}

async function importedChange(path: string): Promise<Record<string, unknown>> {
  const raw = parseAuthJson(await readNamedFile('--import', path));
  const foreign = readForeignLayout(raw);
  if (!foreign) return { ...NO_CREDENTIAL, ...raw };
  if (foreign.document) return { ...NO_CREDENTIAL, ...foreign.document };
  throw invalidCredential(
    'auth.json',
    `has the layout of ${foreign.tool}, but not both an access and a refresh token; sign in again`,
  );
}
