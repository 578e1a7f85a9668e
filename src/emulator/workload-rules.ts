import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import type { Clock } from '../base/clock.ts';
import type { EmulatedAccount, IdSource } from './accounts.ts';

/** What a workload needs to sign in: the id of the rule, and a token of its identity provider. */
export interface WorkloadIdentity {
  ruleId: string;
  /** An OIDC token, as a projected service account token is one; it lives for ten minutes. */
  identityToken: string;
}

interface Rule {
  account: EmulatedAccount;
  subject: string;
}

const ISSUER = 'https://workloads.example';
const AUDIENCE = 'https://auth.openai.com';
const LIFETIME_SECONDS = 600;

/** Federation rules, and the identity provider that they trust. */
export class WorkloadRules {
  readonly #rules = new Map<string, Rule>();
  readonly #now: Clock;
  readonly #nextId: IdSource;
  #keys: { publicKey: KeyObject; privateKey: KeyObject } | null = null;

  constructor(now: Clock, nextId: IdSource) {
    this.#now = now;
    this.#nextId = nextId;
  }

  async issue(account: EmulatedAccount): Promise<WorkloadIdentity> {
    const ruleId = this.#nextId('fedrule-');
    const subject = this.#nextId('workload-');
    this.#rules.set(ruleId, { account, subject });
    return { ruleId, identityToken: await this.#identityToken(subject) };
  }

  /** Another identity token of the workload of a rule, as its provider issues them. Throws when the rule is unknown. */
  async renew(ruleId: string): Promise<WorkloadIdentity> {
    const rule = this.#rules.get(ruleId);
    if (!rule) throw new Error(`no rule ${ruleId}`);
    return { ruleId, identityToken: await this.#identityToken(rule.subject) };
  }

  async #identityToken(subject: string): Promise<string> {
    const issuedAt = Math.floor(this.#now() / 1000);
    return new SignJWT()
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(subject)
      .setJti(this.#nextId('jti-'))
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + LIFETIME_SECONDS)
      .sign(this.#keyPair().privateKey);
  }

  /** Whose account a rule gives to the bearer of `assertion`; null when it gives none. */
  async admit(ruleId: string, assertion: string): Promise<EmulatedAccount | null> {
    const rule = this.#rules.get(ruleId);
    if (!rule) return null;
    try {
      await jwtVerify(assertion, this.#keyPair().publicKey, {
        issuer: ISSUER,
        audience: AUDIENCE,
        subject: rule.subject,
        currentDate: new Date(this.#now()),
      });
      return rule.account;
    } catch {
      return null;
    }
  }

  #keyPair() {
    this.#keys ??= generateKeyPairSync('ed25519');
    return this.#keys;
  }
}
