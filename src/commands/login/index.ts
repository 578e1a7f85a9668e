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
import { checkForm } from './token-form.ts';

/** What `login` stores: a single token, or a whole Codex auth.json. */
export type LoginInput =
  | { kind: 'agentIdentity' | 'accessToken' | 'apiKey'; readToken: () => Promise<string> }
  | { kind: 'import'; path: string; take: boolean };

/**
 * Checks a credential and stores it in the store in use. Fields that this program does not know stay.
 * @returns one line that says what was stored
 */
export async function login(store: AuthStore, input: LoginInput): Promise<string> {
  const { change, odd } = await checkedChange(input).catch((error: unknown) => {
    throw input.kind === 'import' ? naming(input.path, error) : error;
  });
  await store.overwrite(change);
  return `stored in ${store.location}${odd === null ? '' : `; ${odd}`}`;
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

interface Checked {
  change: Record<string, unknown>;
  /** What is odd about it and refused by nobody. */
  odd: string | null;
}

async function checkedChange(input: LoginInput): Promise<Checked> {
  const checked = await changeFor(input);
  await checkUsable(parseAuthDocument(JSON.stringify(checked.change)));
  return checked;
}

/** Names the imported file in the error, rather than the auth.json that it would become. */
function naming(path: string, error: unknown): unknown {
  if (!(error instanceof SidecarError)) return error;
  return new SidecarError(error.code, error.message.replace(/^auth\.json/, path));
}

/** Checks that a sidecar could start with this credential alone. */
async function checkUsable(document: AuthDocument): Promise<void> {
  if (document.isEmpty) throw invalidCredential('auth.json', 'holds no credential');
  const nothing = { apiKey: null, accessToken: null, agentIdentity: null, workload: null };
  await selectCredential(nothing, async () => document);
}

async function changeFor(input: LoginInput): Promise<Checked> {
  if (input.kind === 'import') return { change: await importedChange(input.path), odd: null };
  const token = (await input.readToken()).trim();
  if (token === '') throw new ConfigError('standard input holds no token');
  const odd = checkForm(token, input.kind);
  return { change: { ...NO_CREDENTIAL, ...tokenChange(token, input.kind) }, odd };
}

function tokenChange(token: string, kind: LoginInput['kind']): Record<string, unknown> {
  if (kind === 'apiKey') return { auth_mode: 'apikey', OPENAI_API_KEY: token };
  if (kind === 'accessToken' && token.startsWith('at-')) {
    return { auth_mode: 'personalAccessToken', personal_access_token: token };
  }
  decodeIdentityToken(new Secret(token), systemClock());
  return { auth_mode: 'agentIdentity', agent_identity: token };
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
