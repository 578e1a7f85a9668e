import { NO_CREDENTIAL } from '../../auth-store/auth-document.ts';
import { type AuthStore, StoreUnavailable } from '../../auth-store/store.ts';
import { SidecarError } from '../../base/errors.ts';
import { USER_AGENT } from '../../base/version.ts';
import { CODEX_CLIENT_ID, revokeToken } from '../../oauth/token-endpoint.ts';
import { openDispatcher } from '../../sidecar/preflight.ts';
import type { Settings } from '../../sidecar/settings.ts';
import { createHttpClient } from '../../upstream/http-client.ts';

/**
 * Removes every credential from the store in use; fields that this program does not know stay.
 * @returns lines for the user
 */
export async function logout(
  store: AuthStore,
  settings: Settings,
  revoke: boolean,
): Promise<string[]> {
  try {
    return await removeFrom(store, settings, revoke);
  } catch (error) {
    // An unusable credential can be removed too, but we cannot tell what to revoke.
    if (revoke || !(error instanceof SidecarError) || error instanceof StoreUnavailable)
      throw error;
    await store.overwrite(NO_CREDENTIAL);
    return [`removed the credential from ${store.location}`];
  }
}

function removeFrom(store: AuthStore, settings: Settings, revoke: boolean): Promise<string[]> {
  return store.transact(async ({ current, write }) => {
    if (!current) return [`${store.location} holds no credential`];
    const lines: string[] = [];
    const refreshToken = current.tokens?.refreshToken;
    if (revoke && refreshToken) {
      await revokeAt(settings, refreshToken);
      lines.push('revoked the refresh token');
    } else if (revoke) {
      lines.push('there is no refresh token to revoke');
    }
    await write(NO_CREDENTIAL);
    return [...lines, `removed the credential from ${store.location}`];
  });
}

async function revokeAt(
  settings: Settings,
  token: Parameters<typeof revokeToken>[1],
): Promise<void> {
  const { oauthTokenUrl, oauthRevokeUrl } = settings.config.upstream;
  const dispatcher = await openDispatcher(settings);
  try {
    await revokeToken(
      {
        tokenUrl: oauthTokenUrl,
        revokeUrl: oauthRevokeUrl,
        clientId: settings.oauthClientId ?? CODEX_CLIENT_ID,
        http: createHttpClient(dispatcher, USER_AGENT),
      },
      token,
    );
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : 'unknown failure';
    throw new Error(`the token could not be revoked, so nothing was removed: ${problem}`);
  } finally {
    await dispatcher.close();
  }
}
