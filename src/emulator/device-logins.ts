import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { EmulatedAccount } from './accounts.ts';

/** What the program that wants to sign in is given. */
export interface DeviceCode {
  deviceAuthId: string;
  userCode: string;
  expiresAtMs: number;
}

/** What the program learns when it asks how far its sign-in is. */
export type DevicePoll =
  | { state: 'pending' | 'denied' | 'expired' | 'unknown' }
  | { state: 'approved'; authorizationCode: string; codeVerifier: string; codeChallenge: string };

interface DeviceLogin extends DeviceCode {
  clientId: string;
  /** Whom the person signed in as; `denied` when they refused. */
  decision: EmulatedAccount | 'denied' | null;
}

interface Authorization {
  account: EmulatedAccount;
  clientId: string;
  codeVerifier: string;
}

/** Letters and digits that nobody mistakes for others. */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ23456789';

/** Sign-ins with a device code, and the authorization codes that came of them. */
export class DeviceLogins {
  readonly #logins = new Map<string, DeviceLogin>();
  readonly #authorizations = new Map<string, Authorization>();
  readonly #now: Clock;

  constructor(now: Clock) {
    this.#now = now;
  }

  begin(clientId: string, lifetimeSeconds: number): DeviceCode {
    const login: DeviceLogin = {
      deviceAuthId: `deviceauth_${randomBytes(16).toString('hex')}`,
      userCode: `${letters(4)}-${letters(5)}`,
      expiresAtMs: this.#now() + lifetimeSeconds * 1000,
      clientId,
      decision: null,
    };
    this.#logins.set(login.deviceAuthId, login);
    return login;
  }

  /**
   * What the person behind the page decides.
   * @returns false when the code is unknown, has expired or was decided on before
   */
  decide(userCode: string, decision: EmulatedAccount | 'denied'): boolean {
    const typed = userCode.trim().toUpperCase();
    const login = [...this.#logins.values()].find((known) => known.userCode === typed);
    if (!login || login.decision !== null || login.expiresAtMs <= this.#now()) return false;
    login.decision = decision;
    return true;
  }

  /** An approved sign-in is handed out once. */
  poll(deviceAuthId: string, userCode: string): DevicePoll {
    const login = this.#logins.get(deviceAuthId);
    if (login?.userCode !== userCode) return { state: 'unknown' };
    if (login.expiresAtMs <= this.#now()) return { state: 'expired' };
    if (login.decision === null) return { state: 'pending' };
    if (login.decision === 'denied') return { state: 'denied' };
    this.#logins.delete(deviceAuthId);
    const codeVerifier = randomBytes(48).toString('base64url');
    const authorizationCode = `ac_${randomBytes(24).toString('base64url')}`;
    const { clientId, decision: account } = login;
    this.#authorizations.set(authorizationCode, { account, clientId, codeVerifier });
    return {
      state: 'approved',
      authorizationCode,
      codeVerifier,
      codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    };
  }

  /** Whom an authorization code stands for; null unless all of it fits. It works once. */
  redeem(code: string, clientId: string, codeVerifier: string): EmulatedAccount | null {
    const authorization = this.#authorizations.get(code);
    this.#authorizations.delete(code);
    const fits =
      authorization?.clientId === clientId && authorization.codeVerifier === codeVerifier;
    return fits ? authorization.account : null;
  }
}

function letters(count: number): string {
  return Array.from({ length: count }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
