import { type AgentKey, parseAgentKey } from '../agent-identity/keys.ts';
import type { IdentityRecord } from '../auth-store/auth-document.ts';

/**
 * The key of a stored record.
 * @param place where the record is kept, for messages
 * @throws SidecarError AUTH_CREDENTIAL_INVALID
 */
export function parseStoredKey({ privateKey }: IdentityRecord, place: string): AgentKey {
  return parseAgentKey(privateKey.reveal(), `${place} agent_identity.agent_private_key`);
}
