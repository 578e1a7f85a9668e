import {
  type AssertionClaims,
  parseAssertion,
  verifyAssertion,
} from '../../src/agent-identity/assertion.ts';
import type { AuthHeaders } from '../../src/credentials/provider.ts';
import type { Emulator } from '../../src/emulator/index.ts';

/** What an assertion says. Throws when it is none. */
export function claimsOf(headers: AuthHeaders): AssertionClaims {
  const claims = parseAssertion(headers.authorization.reveal());
  if (headers.kind !== 'assertion' || !claims) throw new Error('not an assertion');
  return claims;
}

/** Whether the signature is that of the agent that registered `publicKeySsh`. */
export function isSignedBy(headers: AuthHeaders, publicKeySsh: string): boolean {
  return verifyAssertion(claimsOf(headers), publicKeySsh);
}

/** Public key of the latest agent registration that the backend saw. */
export function registeredKey(emulator: Emulator): string {
  const record = emulator.records.findLast(({ path }) => path.endsWith('/agent/register'));
  return String(Object(record?.body).agent_public_key);
}
