import { randomUUID } from 'node:crypto';
import { CompactSign } from 'jose/jws/compact/sign';
import { isObject, parseJson } from '../base/json.ts';
import { type AgentKey, verifyBytes } from './keys.ts';

export interface InstanceClaims {
  version: 1;
  runtime_agent_instance: string;
  /** Seconds since the epoch. */
  iat: number;
  /** A UUID of its own for each assertion. */
  id: string;
}

/** An assertion that was read, and not verified yet. */
export interface ReadInstanceAssertion {
  claims: InstanceClaims;
  /** What the signature covers. */
  signed: string;
  signature: Buffer;
}

const HEADER = { alg: 'EdDSA', typ: 'openai-agent-assertion+jws' };
const FORMAT = '1.';
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * A fresh assertion of a runtime instance: `1.` and a compact JWS (RFC 7515, RFC 8037), for one
 * request (observed, Codex 0.171.0). It names neither the request nor the run task.
 */
export async function buildInstanceAssertion(
  instanceId: string,
  key: AgentKey,
  nowMs: number,
): Promise<string> {
  const claims: InstanceClaims = {
    version: 1,
    runtime_agent_instance: instanceId,
    iat: Math.floor(nowMs / 1000),
    id: randomUUID(),
  };
  const jws = await new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader(HEADER)
    .sign(key.privateKey);
  return FORMAT + jws;
}

/** Reads an assertion as Codex writes it, byte for byte; null when it is not one. Checks no signature. */
export function parseInstanceAssertion(text: string): ReadInstanceAssertion | null {
  if (!text.startsWith(FORMAT)) return null;
  const jws = text.slice(FORMAT.length);
  const [header, payload, signature, ...rest] = jws.split('.');
  if (!header || !payload || !signature || rest.length > 0) return null;
  if (header !== base64url(JSON.stringify(HEADER))) return null;
  const claims = parseJson(Buffer.from(payload, 'base64url').toString('utf8'));
  if (!isInstanceClaims(claims) || payload !== base64url(canonical(claims))) return null;
  const bytes = Buffer.from(signature, 'base64url');
  if (bytes.toString('base64url') !== signature) return null;
  return { claims, signed: `${header}.${payload}`, signature: bytes };
}

/** Whether it was signed with the private half of `publicKeySsh`. */
export function verifyInstanceAssertion(
  { signed, signature }: ReadInstanceAssertion,
  publicKeySsh: string,
): boolean {
  return verifyBytes(publicKeySsh, signed, signature);
}

function isInstanceClaims(value: unknown): value is InstanceClaims {
  if (!isObject(value)) return false;
  const { version, runtime_agent_instance: instance, iat, id } = value;
  return (
    version === 1 &&
    typeof instance === 'string' &&
    instance !== '' &&
    Number.isSafeInteger(iat) &&
    typeof id === 'string' &&
    UUID_V4.test(id)
  );
}

/** Compact JSON with the four keys in their order, and no other. */
function canonical({ version, runtime_agent_instance, iat, id }: InstanceClaims): string {
  return JSON.stringify({ version, runtime_agent_instance, iat, id });
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
