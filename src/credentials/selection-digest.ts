import { createHash } from 'node:crypto';
import type { IdentityRecord, StoredTokens } from '../auth-store/auth-document.ts';
import { Secret } from '../base/secret.ts';
import type { Selection } from './selection.ts';

/**
 * Digest of everything that a credential is made of. If it stays the same, a change of the file
 * brought nothing new, for instance because the change was our own.
 * @param withRecord whether a record beside a ChatGPT login counts (policy `chatgptAuth`)
 */
export function selectionDigest(selection: Selection, withRecord: boolean): string {
  switch (selection.kind) {
    case 'apikey':
      return digest([selection.kind, selection.key]);
    case 'personalAccessToken':
    case 'identityToken':
      return digest([selection.kind, selection.token]);
    case 'identityRecord':
      return digest([selection.kind, ...recordParts(selection.record)]);
    case 'workload':
      return digest([selection.kind, selection.identity.ruleId, selection.identity.tokenFile]);
    case 'chatgpt':
      return chatGptDigest(selection.mode, selection.tokens, withRecord ? selection.record : null);
  }
}

export function chatGptDigest(
  mode: string,
  tokens: Pick<StoredTokens, 'accessToken' | 'refreshToken'>,
  record: IdentityRecord | null,
): string {
  return digest([
    'chatgpt',
    mode,
    tokens.accessToken,
    tokens.refreshToken,
    ...(record ? recordParts(record) : []),
  ]);
}

export function recordDigest(record: IdentityRecord | null): string {
  return digest(['identityRecord', ...(record ? recordParts(record) : [])]);
}

function recordParts(record: IdentityRecord): (string | Secret | null)[] {
  return [record.agentRuntimeId, record.privateKey, record.accountId, record.taskId];
}

function digest(parts: (string | Secret | null)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part instanceof Secret ? part.reveal() : (part ?? ''));
    hash.update('\0');
  }
  return hash.digest('hex');
}
