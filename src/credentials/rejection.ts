import { INSTANCE_REVOKED } from '../agent-identity/instance-registration.ts';
import { isObject, parseJsonObject, textAt } from '../base/json.ts';

/** What an upstream response says about the credential that the request carried. */
export type Rejection =
  /**
   * The run task or runtime instance is gone, or the assertion was refused without a cause: a new one
   * may help.
   */
  | { kind: 'task'; code: string }
  /** The bearer is expired or revoked: new tokens may help. */
  | { kind: 'bearer'; code: string }
  /** The agent runtime was deleted, or the runtime instance revoked: nothing helps. */
  | { kind: 'revoked'; code: string };

export interface UpstreamResponse {
  status: number;
  /** Lower-case names. */
  header: (name: string) => string | null;
  /** Whole body, or as much of it as was kept. */
  body: string;
}

/**
 * Whether a response can be a rejection at all, by its head; others are never held back. Of the 403s
 * only JSON can be one (a deleted agent), not the page of a challenge.
 */
export function mayBeRejection(
  used: 'assertion' | 'bearer',
  { status, header }: Pick<UpstreamResponse, 'status' | 'header'>,
): boolean {
  if (status === 401) return true;
  const isJson = header('content-type')?.includes('json') ?? false;
  return status === 403 && used === 'assertion' && isJson;
}

/**
 * Classifies a response (protocol facts: openai/codex issue threads; the code may be in the body,
 * in `x-error-json` or in `x-openai-authorization-error`). Outages, challenges and quota are not
 * rejections.
 * @returns null when the credential is not at fault
 */
export function classifyRejection(
  used: 'assertion' | 'bearer',
  response: UpstreamResponse,
): Rejection | null {
  if (response.header('cf-mitigated') !== null) return null;
  const error = readError(response);
  if (used === 'assertion' && isFinalCode(response.status, error.code)) {
    return { kind: 'revoked', code: error.code };
  }
  if (response.status === 403) {
    const deleted =
      used === 'assertion' &&
      error.code === 'biscuit_baker_service_agent_error_status' &&
      saysDeleted(error.message);
    return deleted ? { kind: 'revoked', code: error.code } : null;
  }
  if (response.status !== 401) return null;
  const code = error.code || 'unauthorized';
  return used === 'assertion' ? { kind: 'task', code } : { kind: 'bearer', code };
}

/** Codex names no status for this code; these two are about the credential. */
function isFinalCode(status: number, code: string): boolean {
  return (status === 401 || status === 403) && code === INSTANCE_REVOKED;
}

/** Whether a message of the backend says that the agent runtime was deleted; its code is generic. */
export function saysDeleted(message: string): boolean {
  return /agent runtime has been deleted/i.test(message);
}

function readError(response: UpstreamResponse): { code: string; message: string } {
  const encoded = response.header('x-error-json');
  const fromHeader = encoded ? parseError(Buffer.from(encoded, 'base64').toString('utf8')) : null;
  const fromBody = parseError(response.body);
  const plain = response.header('x-openai-authorization-error');
  return {
    code: identifier(fromBody?.code) ?? identifier(fromHeader?.code) ?? identifier(plain) ?? '',
    message: fromBody?.message ?? fromHeader?.message ?? '',
  };
}

function parseError(text: string): { code: string | null; message: string } | null {
  const error = parseJsonObject(text)?.error;
  if (!isObject(error)) return null;
  return { code: textAt(error, 'code'), message: textAt(error, 'message') ?? '' };
}

/** Codes appear in status and log, so anything that does not look like one is dropped. */
function identifier(value: string | null | undefined): string | null {
  return value && /^[a-z0-9_.-]{1,80}$/i.test(value) ? value : null;
}
