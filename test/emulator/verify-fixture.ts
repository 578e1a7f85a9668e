import { buildAssertion } from '../../src/agent-identity/assertion.ts';
import { generateAgentKey } from '../../src/agent-identity/keys.ts';
import type { EmulatedAccount } from '../../src/emulator/accounts.ts';
import type { Agent } from '../../src/emulator/agents.ts';
import type { Grant } from '../../src/emulator/tokens.ts';
import { type RequiredAuth, verifyRequest } from '../../src/emulator/verify.ts';

export const NOW = Date.parse('2026-11-20T21:30:36Z');
const account: EmulatedAccount = {
  accountId: 'acc',
  userId: 'user',
  email: null,
  planType: 'pro',
  fedramp: false,
};
const fedrampAccount: EmulatedAccount = { ...account, accountId: 'gov', fedramp: true };
export const key = generateAgentKey();
const agent: Agent = {
  agentRuntimeId: 'agent-1',
  publicKeySsh: key.publicKeySsh,
  account,
  tasks: new Map([
    ['live/task', 'live'],
    ['old', 'expired'],
    ['gone', 'not_found'],
  ]),
  deleted: false,
};
const agents: Record<string, Agent> = {
  'agent-1': agent,
  'agent-dead': { ...agent, agentRuntimeId: 'agent-dead', deleted: true },
  'agent-gov': { ...agent, agentRuntimeId: 'agent-gov', account: fedrampAccount },
  'agent-other': { ...agent, agentRuntimeId: 'agent-other', tasks: new Map([['theirs', 'live']]) },
};
const access = { kind: 'access', account, expiresAtMs: NOW + 1000, revoked: false } as const;
const grants: Record<string, Grant> = {
  access,
  expired: { ...access, expiresAtMs: NOW },
  revoked: { ...access, revoked: true },
  gov: { ...access, account: fedrampAccount },
  personal: { kind: 'personal', account },
  key: { kind: 'apiKey' },
};

/** Judges a request against a made-up directory of agents and tokens, at {@link NOW}. */
export function judge(
  headers: Record<string, string>,
  route: RequiredAuth = 'assertion',
  bearerOnAssertionRoutes: 'accept' | 'refuse' = 'accept',
  accountHeader: 'required' | 'optional' = 'required',
) {
  const rules = {
    route,
    bearerOnAssertionRoutes,
    accountHeader,
    nowMs: NOW,
    maxTimestampSkewSeconds: 300,
  };
  return verifyRequest(headers, rules, {
    agent: (id) => agents[id] ?? null,
    instance: () => null,
    grant: (token) => grants[token] ?? null,
  });
}

/** Headers of a good assertion, but for what the options change. */
export function assertion(options: { id?: string; task?: string; at?: number } = {}) {
  const { id = 'agent-1', task = 'live/task', at = NOW } = options;
  return { authorization: buildAssertion(id, key, task, at), 'chatgpt-account-id': 'acc' };
}

export function encode(claims: unknown): string {
  return `AgentAssertion ${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
}

export function claimsOf(authorization: string): Record<string, string> {
  const token = authorization.split(' ')[1] ?? '';
  return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
}

export const bearer = (token: string) => ({
  authorization: `Bearer ${token}`,
  'chatgpt-account-id': 'acc',
});
