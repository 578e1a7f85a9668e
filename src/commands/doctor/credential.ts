import { decodeIdentityToken } from '../../agent-identity/identity-token.ts';
import { fingerprint } from '../../agent-identity/keys.ts';
import type { IdentityRecord } from '../../auth-store/auth-document.ts';
import { SidecarError } from '../../base/errors.ts';
import type { Config } from '../../config/resolve.ts';
import { type ChatGptLogin, readChatGptLogin } from '../../credentials/chatgpt-login.ts';
import { hasInstance, hasRecord } from '../../credentials/identity-forms.ts';
import { oauthEndpoints } from '../../credentials/oauth-endpoints.ts';
import type { Selection } from '../../credentials/selection.ts';
import { parseStoredKey } from '../../credentials/stored-key.ts';
import { absent, type Finding, failure, ok, warning } from './finding.ts';

const SIGN_IN = 'sign in again';
/** We warn of an identity JWT that expires sooner, because nothing renews it. */
const SOON_MS = 24 * 3600 * 1000;

/**
 * Checks kind, expiry, issuer and key of the credential that the sidecar would use.
 */
export function checkCredential(
  selection: Selection | SidecarError,
  config: Config,
  nowMs: number,
): Finding[] {
  try {
    if (selection instanceof SidecarError) throw selection;
    return describe(selection, config, nowMs);
  } catch (error) {
    if (!(error instanceof SidecarError)) throw error;
    // The message says what to do.
    return [failure('credential', error.message, null)];
  }
}

function describe(selection: Selection, config: Config, nowMs: number): Finding[] {
  const from = `from ${selection.from}`;
  switch (selection.kind) {
    case 'apikey':
      return [ok('credential', `API key ${from}`)];
    case 'personalAccessToken':
      return [ok('credential', `personal access token ${from}`), ...instanceFindings(config)];
    case 'identityToken': {
      const { expiresAt, key } = decodeIdentityToken(selection.token, nowMs);
      const text = `Agent Identity JWT ${from}, valid until ${iso(expiresAt)}`;
      const ends =
        expiresAt - nowMs < SOON_MS
          ? warning('credential', text, 'get a new one before it expires')
          : null;
      return [ends ?? ok('credential', text), ok('key', fingerprint(key.publicKeySsh))];
    }
    case 'workload':
      return [
        ok('credential', `workload identity ${from}, token in ${selection.identity.tokenFile}`),
      ];
    case 'identityRecord':
      return [
        ok('credential', `Agent Identity record ${from}`),
        keyFinding(selection.record, selection.from),
      ];
    case 'chatgpt': {
      const login = readChatGptLogin(selection.tokens, selection.lastRefresh);
      oauthEndpoints(config.upstream, login.provenance, null);
      const record = hasRecord(config.agentIdentity) ? storedIdentity(selection) : [];
      const findings = [loginFinding(login, `ChatGPT login ${from}`, nowMs), ...record];
      return [...findings, ...instanceFindings(config)];
    }
  }
}

function loginFinding(login: ChatGptLogin, text: string, nowMs: number): Finding {
  const { expiresAt, refreshToken } = login;
  if (expiresAt === null) return ok('credential', text);
  if (expiresAt > nowMs) {
    const until = `${text}, access token valid until ${iso(expiresAt)}`;
    if (refreshToken) return ok('credential', until);
    return warning('credential', `${until}, no refresh token`, `${SIGN_IN} before then`);
  }
  const expired = `${text}, access token expired at ${iso(expiresAt)}`;
  if (!refreshToken) return failure('credential', `${expired}, no refresh token`, SIGN_IN);
  return warning('credential', expired, 'the sidecar refreshes it when it starts');
}

/** An unusable record is only a warning, because the sidecar registers a new identity instead. */
function storedIdentity(selection: Extract<Selection, { kind: 'chatgpt' }>): Finding[] {
  const remedy = 'the sidecar registers a new one';
  if (selection.recordProblem) return [warning('key', selection.recordProblem.message, remedy)];
  if (!selection.record)
    return [absent('key', 'none yet; the sidecar registers an identity when it needs one')];
  const finding = keyFinding(selection.record, selection.from);
  return [finding.outcome === 'ok' ? finding : warning('key', finding.message, remedy)];
}

/** Nothing of a runtime instance is stored, so there is nothing to check before a start. */
function instanceFindings({ agentIdentity }: Config): Finding[] {
  if (!hasInstance(agentIdentity)) return [];
  const how = `each start registers a runtime instance (headers ${agentIdentity.headers})`;
  const caution = 'as Codex does behind a feature switch; not proven against the real service';
  return [ok('identity', `${how}, ${caution}`)];
}

function keyFinding(record: IdentityRecord, place: string): Finding {
  try {
    return ok('key', fingerprint(parseStoredKey(record, place).publicKeySsh));
  } catch (error) {
    return failure('key', (error as Error).message, SIGN_IN);
  }
}

const iso = (ms: number) => new Date(ms).toISOString();
