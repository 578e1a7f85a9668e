import { wholeSeconds } from '../base/clock.ts';
import { isObject, parseJsonObject } from '../base/json.ts';
import { type AgentKey, signMessage, verifyMessage } from './keys.ts';

/** The header scheme of an assertion (openai/codex pull request 18871). */
export const ASSERTION_SCHEME = 'AgentAssertion';

/** The header for the assertion of a runtime instance beside a bearer (observed, Codex 0.171.0). */
export const INSTANCE_ASSERTION_HEADER = 'x-openai-agent-assertion';

export interface AssertionClaims {
  agent_runtime_id: string;
  signature: string;
  task_id: string;
  timestamp: string;
}

/**
 * Value of the `Authorization` header: `AgentAssertion ` and unpadded base64url of compact JSON
 * with the keys in alphabetical order. Byte-exact with Codex; equal within one whole second.
 */
export function buildAssertion(
  agentRuntimeId: string,
  key: AgentKey,
  taskId: string,
  nowMs: number,
): string {
  const timestamp = wholeSeconds(nowMs);
  const claims: AssertionClaims = {
    agent_runtime_id: agentRuntimeId,
    signature: signMessage(key, `${agentRuntimeId}:${taskId}:${timestamp}`),
    task_id: taskId,
    timestamp,
  };
  return `${ASSERTION_SCHEME} ${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
}

/** Reads an assertion header; null when it is not one. Checks no signature. */
export function parseAssertion(authorization: string): AssertionClaims | null {
  const [scheme, token, ...rest] = authorization.split(' ');
  if (scheme !== ASSERTION_SCHEME || !token || rest.length > 0) return null;
  const json = Buffer.from(token, 'base64url');
  if (json.toString('base64url') !== token) return null;
  const claims = parseJsonObject(json.toString('utf8'));
  return isAssertionClaims(claims) ? claims : null;
}

/** Whether the signature of `claims` was made with the private half of `publicKeySsh`. */
export function verifyAssertion(claims: AssertionClaims, publicKeySsh: string): boolean {
  const message = `${claims.agent_runtime_id}:${claims.task_id}:${claims.timestamp}`;
  return verifyMessage(publicKeySsh, message, claims.signature);
}

function isAssertionClaims(value: unknown): value is AssertionClaims {
  if (!isObject(value)) return false;
  const names = ['agent_runtime_id', 'signature', 'task_id', 'timestamp'];
  return (
    Object.keys(value).length === names.length &&
    names.every((name) => typeof value[name] === 'string')
  );
}
