import { isHeaderText } from '../base/header-text.ts';
import { parseJsonObject, textAt } from '../base/json.ts';
import { normalizePlanType, type PlanType } from '../base/plan-type.ts';
import { Secret } from '../base/secret.ts';
import type { HttpClient, TextResponse } from '../upstream/http-client.ts';
import { readChatGptClaims } from './claims.ts';
import { errorCode } from './token-endpoint.ts';

/** What a federation rule gives for the identity token of a workload. */
export interface WorkloadToken {
  accessToken: Secret;
  accountId: string;
  planType: PlanType | null;
  fedramp: boolean;
  /** Milliseconds since the epoch; null: neither the token nor the response says when it ends. */
  expiresAt: number | null;
}

/** The token endpoint gave no token. */
export class WorkloadTokenError extends Error {
  override readonly name = 'WorkloadTokenError';
  /** It refused the rule or the identity token, so that another try with both is in vain. */
  readonly isRefusal: boolean;
  /** How long it asks to be left alone; null: it names no time. */
  readonly retryAfterMs: number | null;

  constructor(message: string, isRefusal: boolean, retryAfterMs: number | null = null) {
    super(message);
    this.isRefusal = isRefusal;
    this.retryAfterMs = retryAfterMs;
  }
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 256 * 1024;

/**
 * Trades the identity token of a workload for an access token (RFC 7523, section 2.1; openai/codex
 * `codex-rs/login/src/auth/workload_identity.rs`).
 * @param now of the backend, milliseconds since the epoch
 * @throws WorkloadTokenError, or CallError when there is no complete response
 */
export async function exchangeIdentityToken(
  http: HttpClient,
  tokenUrl: string,
  ruleId: string,
  identityToken: Secret,
  now: number,
): Promise<WorkloadToken> {
  const response = await http({
    method: 'POST',
    url: tokenUrl,
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    body: new URLSearchParams({
      grant_type: GRANT_TYPE,
      assertion: identityToken.reveal(),
      federation_rule_id: ruleId,
    }),
  });
  if (response.status !== 200) throw refusal(response);
  return readToken(response.text, now);
}

function refusal({ status, text, retryAfterMs }: TextResponse): WorkloadTokenError {
  const code = errorCode(text);
  const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  const message = `the token endpoint answered ${status}${code === null ? '' : ` (${code})`}`;
  return new WorkloadTokenError(message, isRefusal, retryAfterMs);
}

function readToken(text: string, now: number): WorkloadToken {
  const fields = parseJsonObject(text);
  const accessToken = fields && textAt(fields, 'access_token');
  const accountId = fields && textAt(fields, 'chatgpt_account_id');
  for (const [name, value] of Object.entries({
    access_token: accessToken,
    chatgpt_account_id: accountId,
  })) {
    if (!value || !isHeaderText(value)) {
      const problem = `the response of the token endpoint has no ${name} that a header can carry`;
      throw new WorkloadTokenError(problem, false);
    }
  }
  const claims = readChatGptClaims(accessToken as string);
  const seconds = fields?.expires_in;
  const isDuration = typeof seconds === 'number' && seconds > 0 && seconds < 1e9;
  const plan = fields?.chatgpt_plan_type;
  return {
    accessToken: new Secret(accessToken as string),
    accountId: accountId as string,
    planType: plan === undefined ? (claims?.planType ?? null) : normalizePlanType(plan),
    fedramp: fields?.chatgpt_account_is_fedramp === true || claims?.fedramp === true,
    expiresAt: claims?.expiresAt ?? (isDuration ? now + seconds * 1000 : null),
  };
}
