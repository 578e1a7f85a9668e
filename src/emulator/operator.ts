import { wholeSeconds } from '../base/clock.ts';
import { isObject, type JsonObject, textAt } from '../base/json.ts';
import { type AccountOptions, isFromIdSource, makeAccount } from './accounts.ts';
import type { Fault } from './faults.ts';
import { type IdentityTokenOptions, issueIdentityToken } from './issue-identity-token.ts';
import type { EmulatorSettings, EmulatorState } from './state.ts';
import type { WorkloadIdentity } from './workload-rules.ts';

/** A ChatGPT login as Codex stores it. */
export interface IssuedLogin {
  /** A whole `auth.json`. */
  authJson: {
    auth_mode: 'chatgpt';
    OPENAI_API_KEY: null;
    tokens: { id_token: string; access_token: string; refresh_token: string; account_id: string };
    last_refresh: string;
  };
  accessToken: string;
  refreshToken: string;
  accountId: string;
  userId: string;
}

/** What a test, or a person through `/__emulator`, can order. Every credential is a throw-away. */
export interface Operator {
  issueLogin(account?: AccountOptions): IssuedLogin;
  /** An Agent Identity JWT for a new agent runtime that is registered already. */
  issueIdentityToken(options?: IdentityTokenOptions): string;
  issueApiKey(): string;
  /** `at-…` */
  issuePersonalAccessToken(account?: AccountOptions): string;
  /**
   * What the person on the device page does. Throws when the code cannot be decided on.
   * @param account whom they sign in as; `denied`: they refuse
   */
  decideDeviceLogin(userCode: string, account?: AccountOptions | 'denied'): void;
  /** A federation rule of workload identity, and an identity token that it accepts. */
  issueWorkloadIdentity(account?: AccountOptions): Promise<WorkloadIdentity>;
  /** Another identity token for the same rule. Throws when the rule is unknown. */
  renewWorkloadIdentity(ruleId: string): Promise<WorkloadIdentity>;
  addFault(fault: Fault): void;
  clearFaults(): void;
  /** Ends a run task; default `expired`. Throws when the task is unknown. */
  revokeTask(taskId: string, how?: 'expired' | 'not_found'): void;
  /** Deletes an agent runtime for good. Throws when it is unknown. */
  deleteAgent(agentRuntimeId: string): void;
  /** Ends a runtime instance; default `gone`. Throws when it is unknown. */
  endInstance(instanceId: string, how?: 'gone' | 'revoked'): void;
  /** Ends every access token issued so far, whatever its `exp` says. */
  expireAccessTokens(): void;
  /** What was registered, and how often each refresh token has been sent. */
  counts(): {
    agents: number;
    tasks: number;
    instances: number;
    refreshUses: ReadonlyMap<string, number>;
  };
  /** May be changed at any time. */
  settings: EmulatorSettings;
}

export function createOperator(state: EmulatorState): Operator {
  const { tokens, agents, instances, faults, nextId, settings } = state;
  return {
    settings,
    counts: () => ({
      ...agents.counts,
      instances: instances.count,
      refreshUses: tokens.uses,
    }),
    issueLogin: (account = {}) => issueLogin(state, account),
    issueIdentityToken: (options = {}) => issueIdentityToken(state, options),
    issueApiKey: () => tokens.issueApiKey(),
    issuePersonalAccessToken: (account = {}) =>
      tokens.issuePersonalAccessToken(makeAccount(account, nextId)),
    decideDeviceLogin: (userCode, account = {}) => {
      const decision = account === 'denied' ? account : makeAccount(account, nextId);
      if (!state.deviceLogins.decide(userCode, decision)) {
        throw new Error('no such user_code, or it has expired or been decided on');
      }
    },
    renewWorkloadIdentity: (ruleId) => state.workloadRules.renew(ruleId),
    issueWorkloadIdentity: (account = {}) =>
      state.workloadRules.issue(makeAccount(account, nextId)),
    addFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    revokeTask: (taskId, how = 'expired') => agents.revokeTask(taskId, how),
    deleteAgent: (agentRuntimeId) => agents.delete(agentRuntimeId),
    endInstance: (instanceId, how = 'gone') => instances.end(instanceId, how),
    expireAccessTokens: () => tokens.expireAccessTokens(),
  };
}

/**
 * Whether an `auth.json` holds a login that some emulator has issued, which may have been refreshed
 * since. Account ids of the real backend are UUIDs.
 */
export function isThrowAwayLogin(authJson: JsonObject | null): boolean {
  const tokens = isObject(authJson?.tokens) ? authJson.tokens : {};
  return (
    isFromIdSource('account-', textAt(tokens, 'account_id') ?? '') &&
    isFromIdSource('rt-', textAt(tokens, 'refresh_token') ?? '')
  );
}

function issueLogin(state: EmulatorState, options: AccountOptions): IssuedLogin {
  const account = makeAccount(options, state.nextId);
  const { accountId, userId } = account;
  const { idToken, accessToken, refreshToken } = state.tokens.issueTokenSet(account);
  return {
    authJson: {
      auth_mode: 'chatgpt',
      OPENAI_API_KEY: null,
      tokens: {
        id_token: idToken,
        access_token: accessToken,
        refresh_token: refreshToken,
        account_id: accountId,
      },
      last_refresh: wholeSeconds(state.now()),
    },
    accessToken,
    refreshToken,
    accountId,
    userId,
  };
}
