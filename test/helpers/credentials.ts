import type { Emulator } from '../../src/emulator/index.ts';
import type { SidecarOptions } from './sidecar.ts';

/** How each kind of credential is given to a sidecar, and what of it must be seen upstream. */
export interface GivenCredential extends Pick<SidecarOptions, 'authJson' | 'env' | 'config'> {
  /** `Authorization` with a bearer; null when there is no bearer. */
  bearer: string | null;
  accountId: string | null;
}

const withIdentities = { agentIdentity: { policy: 'chatgptAuth' } };

export function apiKey(emulator: Emulator): GivenCredential {
  const key = emulator.issueApiKey();
  return { env: { CODEX_API_KEY: key }, bearer: `Bearer ${key}`, accountId: null };
}

export function login(emulator: Emulator, fedramp = false): GivenCredential {
  const { authJson, accessToken, accountId } = emulator.issueLogin({ fedramp });
  return { authJson, bearer: `Bearer ${accessToken}`, accountId };
}

export function loginWithIdentity(emulator: Emulator, fedramp = false): GivenCredential {
  return { ...login(emulator, fedramp), config: withIdentities };
}

export function identityToken(emulator: Emulator, fedramp = false): GivenCredential {
  const token = emulator.issueIdentityToken({ fedramp });
  const { account_id: accountId } = claimsOf(token);
  return { env: { CODEX_ACCESS_TOKEN: token }, bearer: null, accountId: String(accountId) };
}

export function personalAccessToken(emulator: Emulator): GivenCredential {
  const accountId = 'account-of-a-token';
  const token = emulator.issuePersonalAccessToken({ accountId });
  return { env: { CODEX_ACCESS_TOKEN: token }, bearer: `Bearer ${token}`, accountId };
}

/** A registered identity without any login beside it, and without a run task. */
export function identityRecord(emulator: Emulator): GivenCredential {
  const { agent_runtime_id, agent_private_key, account_id, chatgpt_user_id, plan_type } = claimsOf(
    emulator.issueIdentityToken(),
  );
  const record = { agent_runtime_id, agent_private_key, account_id, chatgpt_user_id, plan_type };
  const authJson = {
    auth_mode: 'agentIdentity',
    agent_identity: { ...record, email: null, chatgpt_account_is_fedramp: false },
  };
  return { authJson, bearer: null, accountId: String(account_id) };
}

export function nothing(): GivenCredential {
  return { bearer: null, accountId: null };
}

export function invalidFile(): GivenCredential {
  return { authJson: '{"tokens": ', bearer: null, accountId: null };
}

export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
