import type { KeyObject } from 'node:crypto';
import {
  IDENTITY_TOKEN_AUDIENCE,
  IDENTITY_TOKEN_ISSUER,
} from '../agent-identity/identity-token.ts';
import { encodeAgentKey, generateAgentKey } from '../agent-identity/keys.ts';
import type { Clock } from '../base/clock.ts';
import { type AccountOptions, type IdSource, makeAccount } from './accounts.ts';
import type { AgentStore } from './agents.ts';
import { type SigningKey, signJwt } from './signing-key.ts';

/** What to make different from a good Agent Identity JWT. */
export interface IdentityTokenOptions extends AccountOptions {
  /** Default one day; negative makes a token that has expired. */
  expiresInSeconds?: number;
  /** Claims that replace the true ones; `undefined` leaves a claim out. */
  claims?: Record<string, unknown>;
  /** Header `kid`; null leaves it out. */
  kid?: string | null;
  /** Signs with a key that is not in the JWKS, though the `kid` says so. */
  signWithUnknownKey?: boolean;
}

interface IdentityTokenIssuer {
  signingKey: SigningKey;
  /** A key outside the JWKS. */
  unknownKey: () => KeyObject;
  agents: AgentStore;
  nextId: IdSource;
  now: Clock;
}

const DAY_SECONDS = 86_400;

/** An Agent Identity JWT for a freshly made, registered agent runtime. */
export function issueIdentityToken(
  issuer: IdentityTokenIssuer,
  options: IdentityTokenOptions,
): string {
  const { signingKey, unknownKey } = issuer;
  const account = makeAccount(options, issuer.nextId);
  const key = generateAgentKey();
  const agent = issuer.agents.register(key.publicKeySsh, account);
  const issuedAt = Math.floor(issuer.now() / 1000);
  const claims = {
    iss: IDENTITY_TOKEN_ISSUER,
    aud: IDENTITY_TOKEN_AUDIENCE,
    iat: issuedAt,
    exp: issuedAt + (options.expiresInSeconds ?? DAY_SECONDS),
    agent_runtime_id: agent.agentRuntimeId,
    agent_private_key: encodeAgentKey(key),
    account_id: account.accountId,
    chatgpt_user_id: account.userId,
    ...(account.email === null ? {} : { email: account.email }),
    plan_type: account.planType,
    chatgpt_account_is_fedramp: account.fedramp,
    ...options.claims,
  };
  const kid = options.kid === undefined ? signingKey.kid : options.kid;
  return options.signWithUnknownKey === true
    ? signJwt(unknownKey(), claims, kid)
    : signingKey.signJwt(claims, kid);
}
