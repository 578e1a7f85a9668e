import { randomBytes } from 'node:crypto';
import { type AuthDocument, NO_CREDENTIAL } from '../auth-store/auth-document.ts';
import { type AuthStore, StoreUnavailable } from '../auth-store/store.ts';
import { SidecarError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { PlanType } from '../base/plan-type.ts';
import {
  awaitDeviceTokens,
  type DeviceCode,
  type DeviceLoginClient,
  DeviceLoginError,
  type DeviceTokens,
  requestDeviceCode,
} from '../oauth/device-login.ts';
import { revokeToken } from '../oauth/token-endpoint.ts';
import { type ChatGptLogin, namesOther, readChatGptLogin } from './chatgpt-login.ts';

export interface SignInDeps {
  client: DeviceLoginClient & { revokeUrl: string };
  store: AuthStore;
  /** Whether a credential of somebody else in the store gives way. */
  replace: boolean;
  /** How the user allows that, for messages. */
  howToReplace: string;
}

/** A sign-in that has begun: the person has to type the code now. */
export interface SignIn {
  code: DeviceCode;
  /**
   * Waits for the person, and stores the login.
   * @throws DeviceLoginError, SidecarError; the reason of the signal when it aborts
   */
  finish(): Promise<{ planType: PlanType | null }>;
}

const CREDENTIAL_FIELDS = Object.keys(NO_CREDENTIAL);

/**
 * Begins a sign-in with a device code. What the store holds now must be there unchanged when the
 * person is done, and is only replaced where it is the same account.
 * @throws DeviceLoginError, SidecarError
 */
export async function beginSignIn(deps: SignInDeps, signal: AbortSignal): Promise<SignIn> {
  const { client } = deps;
  const before = await readStored(deps);
  if (before instanceof SidecarError ? !deps.replace : isOfNoAccount(before) && !deps.replace) {
    throw heldByOther(deps);
  }
  const code = await requestDeviceCode(client, signal);
  return {
    code,
    finish: async () => {
      const tokens = await awaitDeviceTokens(client, code, signal);
      const lastRefresh = new Date(client.now()).toISOString();
      const { idToken, accessToken, refreshToken } = tokens;
      const signedIn = { idToken, accessToken, refreshToken, place: 'the response' };
      const stored = { ...signedIn, accountId: null, provenance: null };
      try {
        const login = readChatGptLogin(stored, lastRefresh);
        await keep(deps, before, login, loginChange(client, tokens, login));
        return { planType: login.account.planType };
      } catch (error) {
        // Nobody will use it, so it should not live on; unless it may have been stored after all.
        if (error instanceof StoreUnavailable) throw error;
        await revokeToken(client, refreshToken).catch(() => undefined);
        throw error;
      }
    },
  };
}

/** What is in the store; the error where it cannot be read as a credential. */
async function readStored({ store }: SignInDeps): Promise<AuthDocument | SidecarError | null> {
  try {
    return await store.load();
  } catch (error) {
    if (!(error instanceof SidecarError) || error instanceof StoreUnavailable) throw error;
    return error;
  }
}

/** Whether it is a credential that no ChatGPT login can be of the same account with. */
function isOfNoAccount(document: AuthDocument | null): boolean {
  return document !== null && !document.isEmpty && !document.tokens;
}

async function keep(
  deps: SignInDeps,
  before: AuthDocument | SidecarError | null,
  login: ChatGptLogin,
  change: JsonObject,
): Promise<void> {
  const { store, replace } = deps;
  // What cannot be read cannot be compared either; the user has allowed its end.
  if (before instanceof SidecarError) return store.overwrite(change);
  await store.transact(async ({ current, write }) => {
    if (!isSame(before, current)) {
      throw new DeviceLoginError(
        `${store.location} was changed while you signed in, so nothing was overwritten; sign in again`,
      );
    }
    const mayWrite = replace || !current || current.isEmpty || isOfAccount(current, login);
    if (!mayWrite) throw heldByOther(deps);
    await write(change);
  });
}

function isSame(before: AuthDocument | null, current: AuthDocument | null): boolean {
  if (before === null || current === null) return before === current;
  return current.agreesWith(before, CREDENTIAL_FIELDS);
}

function isOfAccount({ tokens, lastRefresh }: AuthDocument, login: ChatGptLogin): boolean {
  if (!tokens) return false;
  try {
    const stored = readChatGptLogin(tokens, lastRefresh);
    return stored.account.id === login.account.id && !namesOther(login.idToken, stored);
  } catch (error) {
    if (error instanceof SidecarError) return false;
    throw error;
  }
}

function heldByOther({ store, howToReplace }: SignInDeps): DeviceLoginError {
  return new DeviceLoginError(
    `${store.location} holds another credential, which stays; ${howToReplace}`,
  );
}

/** In the shape that Codex writes after a sign-in (observed, 0.171.0). */
function loginChange(
  { issuer, clientId }: DeviceLoginClient,
  { idToken, accessToken, refreshToken }: DeviceTokens,
  { account, lastRefresh }: ChatGptLogin,
): JsonObject {
  return {
    ...NO_CREDENTIAL,
    auth_mode: 'chatgpt',
    OPENAI_API_KEY: null,
    tokens: {
      id_token: idToken.reveal(),
      access_token: accessToken.reveal(),
      refresh_token: refreshToken.reveal(),
      account_id: account.id,
      oauth_provenance: { issuer, client_id: clientId },
      login_owner_id: randomBytes(32).toString('base64url'),
    },
    last_refresh: lastRefresh,
  };
}
