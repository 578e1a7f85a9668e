import { randomBytes } from 'node:crypto';

/** What a test may choose about the account behind a credential; the rest is made up. */
export interface AccountOptions {
  accountId?: string;
  userId?: string;
  /** null leaves the e-mail out of every token and response. */
  email?: string | null;
  planType?: string;
  fedramp?: boolean;
}

/** One ChatGPT account as the emulated backend knows it. */
export interface EmulatedAccount {
  readonly accountId: string;
  readonly userId: string;
  readonly email: string | null;
  readonly planType: string;
  readonly fedramp: boolean;
}

/** Makes a fresh name: the counter makes it readable, the random part makes it unguessable. */
export type IdSource = (prefix: string) => string;

export function createIdSource(): IdSource {
  let count = 0;
  return (prefix) => {
    count += 1;
    return `${prefix}${count}-${randomBytes(9).toString('hex')}`;
  };
}

/** Whether an {@link IdSource} of this or an earlier emulator may have made `id`. */
export function isFromIdSource(prefix: string, id: string): boolean {
  return id.startsWith(prefix) && /^\d+-[0-9a-f]{18}$/.test(id.slice(prefix.length));
}

export function makeAccount(options: AccountOptions, nextId: IdSource): EmulatedAccount {
  const { email, planType = 'pro', fedramp = false } = options;
  const accountId = options.accountId ?? nextId('account-');
  return {
    accountId,
    userId: options.userId ?? nextId('user-'),
    email: email === undefined ? 'someone@example.com' : email,
    planType,
    fedramp,
  };
}
