import type { AuthDocument, IdentityRecord, StoredTokens } from '../auth-store/auth-document.ts';
import { invalidCredential, SidecarError } from '../base/errors.ts';
import { isHeaderText, NOT_HEADER_TEXT } from '../base/header-text.ts';
import type { Secret } from '../base/secret.ts';

/** Credentials that the environment gives; trimmed, absent when blank. */
export interface EnvironmentCredentials {
  apiKey: Secret | null;
  accessToken: Secret | null;
  agentIdentity: Secret | null;
  workload: WorkloadIdentity | null;
}

/** How a workload signs in: a federation rule, and the token of its own identity provider. */
export interface WorkloadIdentity {
  ruleId: string;
  tokenFile: string;
  /** Reads the file anew. @throws ConfigError */
  token: () => Promise<Secret>;
}

/** The credential that wins, and where it comes from. */
export type Selection =
  | { kind: 'apikey'; from: string; key: Secret }
  | { kind: 'personalAccessToken'; from: string; token: Secret }
  | { kind: 'identityToken'; from: string; token: Secret }
  | { kind: 'identityRecord'; from: string; record: IdentityRecord }
  | { kind: 'workload'; from: string; identity: WorkloadIdentity }
  | {
      kind: 'chatgpt';
      from: string;
      mode: 'chatgpt' | 'chatgptAuthTokens';
      tokens: StoredTokens;
      record: IdentityRecord | null;
      /** Why a stored record cannot be read. */
      recordProblem: SidecarError | null;
      lastRefresh: string | null;
    };

/**
 * Order of the sources, highest first: `CODEX_API_KEY`, `CODEX_ACCESS_TOKEN`,
 * `CODEX_AGENT_IDENTITY`, `OPENAI_FEDERATION_RULE_ID`, `auth.json` (as in Codex).
 * @param loadDocument called only when the environment holds no credential
 * @throws SidecarError AUTH_NOT_CONFIGURED or AUTH_CREDENTIAL_INVALID
 */
export async function selectCredential(
  environment: EnvironmentCredentials,
  loadDocument: () => Promise<AuthDocument | null>,
): Promise<Selection> {
  const { apiKey, accessToken, agentIdentity, workload } = environment;
  if (apiKey) {
    requireHeaderText(apiKey, 'CODEX_API_KEY');
    return { kind: 'apikey', from: 'CODEX_API_KEY', key: apiKey };
  }
  if (accessToken) {
    requireHeaderText(accessToken, 'CODEX_ACCESS_TOKEN');
    const kind = accessToken.reveal().startsWith('at-') ? 'personalAccessToken' : 'identityToken';
    return { kind, from: 'CODEX_ACCESS_TOKEN', token: accessToken };
  }
  if (agentIdentity) {
    requireHeaderText(agentIdentity, 'CODEX_AGENT_IDENTITY');
    return { kind: 'identityToken', from: 'CODEX_AGENT_IDENTITY', token: agentIdentity };
  }
  if (workload) {
    const { ruleId } = workload;
    if (!isHeaderText(ruleId))
      throw invalidCredential('OPENAI_FEDERATION_RULE_ID', NOT_HEADER_TEXT);
    return { kind: 'workload', from: 'OPENAI_FEDERATION_RULE_ID', identity: workload };
  }
  const document = await loadDocument();
  if (document && !document.isEmpty) return fromDocument(document);
  if (document?.foreignTool) {
    throw invalidCredential(
      document.place,
      `has the layout of ${document.foreignTool}; move it elsewhere, and take it over with "codex-auth-sidecar login --import FILE"`,
    );
  }
  throw new SidecarError(
    'AUTH_NOT_CONFIGURED',
    'no credential: run "codex-auth-sidecar login" with the settings of the sidecar, or set CODEX_ACCESS_TOKEN or CODEX_API_KEY for it; a login that Codex keeps in the keyring is not seen, so set cli_auth_credentials_store = "file" in its config.toml first',
  );
}

function fromDocument(document: AuthDocument): Selection {
  const { place: from } = document;
  switch (document.mode) {
    case 'apikey':
      if (document.apiKey) return { kind: 'apikey', from, key: document.apiKey };
      throw missing('OPENAI_API_KEY', document);
    case 'personalAccessToken':
      if (document.personalAccessToken) {
        return { kind: 'personalAccessToken', from, token: document.personalAccessToken };
      }
      throw missing('personal_access_token', document);
    case 'agentIdentity':
      if (document.identityToken) {
        return { kind: 'identityToken', from, token: document.identityToken };
      }
      if (document.identityRecord) {
        return { kind: 'identityRecord', from, record: document.identityRecord };
      }
      throw missing('agent_identity', document);
    case 'chatgpt':
    case 'chatgptAuthTokens':
      if (!document.tokens) throw missing('tokens', document);
      return {
        kind: 'chatgpt',
        from,
        mode: document.mode,
        tokens: document.tokens,
        record: document.identityRecord,
        recordProblem: document.recordProblem,
        lastRefresh: document.lastRefresh,
      };
  }
}

function requireHeaderText(secret: Secret, from: string): void {
  const value = secret.reveal();
  if (/^(["']).*\1$/.test(value)) {
    throw invalidCredential(from, 'stands in quotes, which env files keep; write it without them');
  }
  if (!isHeaderText(value)) throw invalidCredential(from, NOT_HEADER_TEXT);
}

function missing(field: string, { mode, place }: AuthDocument): SidecarError {
  return invalidCredential(
    `${place} ${field}`,
    `is missing, but auth_mode is ${mode}; sign in again`,
  );
}
