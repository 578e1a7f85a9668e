import {
  ASSERTION_SCHEME,
  type AssertionClaims,
  INSTANCE_ASSERTION_HEADER,
  parseAssertion,
  verifyAssertion,
} from '../agent-identity/assertion.ts';
import { verifyMessage } from '../agent-identity/keys.ts';
import type { EmulatedAccount } from './accounts.ts';
import type { Agent } from './agents.ts';
import type { Instance } from './instances.ts';
import type { RecordedAuth } from './records.ts';
import type { Grant } from './tokens.ts';
import { type InstanceVerdict, verifyInstance } from './verify-instance.ts';

/**
 * What a route asks for. `assertion` and `bearer` go with the account headers; `registration` is
 * an access token with the FedRAMP header only; `whoami` is a bearer token alone.
 */
export type RequiredAuth = 'assertion' | 'bearer' | 'registration' | 'whoami' | 'apiKey' | 'none';

/** How a refusal is answered; `./refusals.ts` has the bodies. */
export type RefusalKind =
  | 'unauthorized'
  | 'task_expired'
  | 'task_not_found'
  | 'agent_deleted'
  | 'instance_revoked';

interface VerifyRules {
  route: RequiredAuth;
  bearerOnAssertionRoutes: 'accept' | 'refuse';
  accountHeader: 'required' | 'optional';
  nowMs: number;
  maxTimestampSkewSeconds: number;
}

/** Look-ups into what the emulator issued and registered. */
interface Directory {
  agent(agentRuntimeId: string): Agent | null;
  instance(instanceId: string): Instance | null;
  grant(token: string): Grant | null;
}

export interface Verdict {
  auth: RecordedAuth;
  /** Whose credential it is; null on failure, with an API key, and on open routes. */
  account: EmulatedAccount | null;
  /** null lets the request in. */
  refusal: RefusalKind | null;
}

type Headers = Readonly<Record<string, string>>;
type CheckResult = { refusal: RefusalKind; problem: string } | { account: EmulatedAccount | null };

const BEARER = 'Bearer ';
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Judges the credential of one request against what its route asks for. */
export function verifyRequest(headers: Headers, rules: VerifyRules, known: Directory): Verdict {
  const { authorization } = headers;
  const claims = authorization === undefined ? null : parseAssertion(authorization);
  const text = instanceAssertionOf(headers);
  const isOpen = rules.route === 'none';
  const presented = text === null || isOpen ? null : verifyInstance(text, rules, known.instance);
  const auth: RecordedAuth = {
    kind: kindOf(headers),
    verified: false,
    problem: null,
    agentRuntimeId: claims?.agent_runtime_id ?? null,
    taskId: claims?.task_id ?? null,
    runtimeInstanceId: presented?.instance?.instanceId ?? null,
  };
  if (isOpen) return { auth, account: null, refusal: null };
  const check = presented
    ? checkInstance(headers, presented, rules, known)
    : checkCredential(headers, auth.kind, rules, known);
  if ('refusal' in check) {
    return { auth: { ...auth, problem: check.problem }, account: null, refusal: check.refusal };
  }
  return { auth: { ...auth, verified: true }, account: check.account, refusal: null };
}

/** Whether a task registration is signed by the agent: Ed25519 over `<agent_runtime_id>:<timestamp>`. */
export function verifyRegistration(
  agent: Agent,
  body: { timestamp: string; signature: string },
  rules: Pick<VerifyRules, 'nowMs' | 'maxTimestampSkewSeconds'>,
): string | null {
  const signed = `${agent.agentRuntimeId}:${body.timestamp}`;
  const genuine =
    isPaddedBase64(body.signature) && verifyMessage(agent.publicKeySsh, signed, body.signature);
  if (!genuine) return 'the signature does not verify with the registered key';
  return timestampProblem(body.timestamp, rules);
}

function checkCredential(
  headers: Headers,
  kind: RecordedAuth['kind'],
  rules: VerifyRules,
  known: Directory,
): CheckResult {
  const authorization = headers.authorization ?? '';
  if (kind === 'none') return refuse('there is no Authorization header');
  if (kind === 'other') return refuse('the Authorization scheme is unknown');
  if (kind === 'bearer') {
    return checkBearer(headers, known.grant(authorization.slice(BEARER.length)), rules);
  }
  if (rules.route !== 'assertion') return refuse('an assertion on a route that takes none');
  return checkAssertion(headers, authorization, rules, known);
}

/** Codex sends the second form on every route of the backend, with its bearer or in its place. */
function checkInstance(
  headers: Headers,
  { instance, problem }: InstanceVerdict,
  rules: VerifyRules,
  known: Directory,
): CheckResult {
  const { route } = rules;
  if (route !== 'assertion' && route !== 'bearer') {
    return refuse('an assertion on a route that takes none');
  }
  const isDual = kindOf(headers) === 'dual';
  if (!isDual && INSTANCE_ASSERTION_HEADER in headers) {
    return refuse(`${INSTANCE_ASSERTION_HEADER} goes with a bearer, and with nothing else`);
  }
  if (instance?.state === 'revoked') return refuse(problem ?? '', 'instance_revoked');
  if (!instance || problem !== null) return refuse(problem ?? '');
  if (isDual) {
    const token = headers.authorization?.slice(BEARER.length) ?? '';
    const check = checkBearer(headers, known.grant(token), { ...rules, route: 'bearer' });
    if ('refusal' in check) return check;
  }
  return checkAccountHeaders(headers, instance.account) ?? { account: instance.account };
}

function checkBearer(headers: Headers, grant: Grant | null, rules: VerifyRules): CheckResult {
  const { route } = rules;
  if (grant === null) return refuse('the bearer token was not issued here');
  if (grant.kind === 'apiKey') return checkApiKey(headers, route);
  if (route === 'apiKey') return refuse('only an API key is accepted here');
  if (grant.kind === 'access') {
    if (grant.revoked) return refuse('the access token was revoked');
    if (grant.expiresAtMs <= rules.nowMs) return refuse('the access token has expired');
  }
  if (route === 'whoami') return { account: grant.account };
  if (route === 'registration') {
    if (grant.kind !== 'access') return refuse('registration needs a ChatGPT access token');
    return checkFedramp(headers, grant.account) ?? { account: grant.account };
  }
  if (route === 'assertion' && rules.bearerOnAssertionRoutes === 'refuse') {
    return refuse('a bearer token on an assertion route');
  }
  const isOptional = rules.accountHeader === 'optional' && !('chatgpt-account-id' in headers);
  if (isOptional) return { account: grant.account };
  return checkAccountHeaders(headers, grant.account) ?? { account: grant.account };
}

function checkApiKey(headers: Headers, route: RequiredAuth): CheckResult {
  if (route !== 'apiKey') return refuse('an API key is accepted under /v1 only');
  if ('chatgpt-account-id' in headers || 'x-openai-fedramp' in headers) {
    return refuse('an API key goes without account headers');
  }
  return { account: null };
}

function checkAssertion(
  headers: Headers,
  authorization: string,
  rules: VerifyRules,
  known: Directory,
): CheckResult {
  const claims = parseAssertion(authorization);
  if (claims === null || !isCanonical(claims, authorization)) {
    return refuse('the assertion is malformed');
  }
  const agent = known.agent(claims.agent_runtime_id);
  if (agent === null) return refuse('the agent is not registered');
  if (!isPaddedBase64(claims.signature) || !verifyAssertion(claims, agent.publicKeySsh)) {
    return refuse('the signature does not verify with the registered key');
  }
  if (agent.deleted) return refuse('the agent was deleted', 'agent_deleted');
  const clockProblem = timestampProblem(claims.timestamp, rules);
  if (clockProblem !== null) return refuse(clockProblem);
  const task = agent.tasks.get(claims.task_id);
  if (task === undefined) return refuse('the task is not one of this agent');
  if (task === 'expired') return refuse('the task has expired', 'task_expired');
  if (task === 'not_found') return refuse('the task is gone', 'task_not_found');
  return checkAccountHeaders(headers, agent.account) ?? { account: agent.account };
}

function checkAccountHeaders(headers: Headers, account: EmulatedAccount): CheckResult | null {
  if (headers['chatgpt-account-id'] !== account.accountId) {
    return refuse('chatgpt-account-id is missing or names another account');
  }
  return checkFedramp(headers, account);
}

function checkFedramp(headers: Headers, account: EmulatedAccount): CheckResult | null {
  const expected = account.fedramp ? 'true' : undefined;
  if (headers['x-openai-fedramp'] === expected) return null;
  return refuse(
    account.fedramp
      ? 'x-openai-fedramp must be "true" for this account'
      : 'x-openai-fedramp must be absent for this account',
  );
}

function timestampProblem(
  timestamp: string,
  rules: Pick<VerifyRules, 'nowMs' | 'maxTimestampSkewSeconds'>,
): string | null {
  const time = TIMESTAMP.test(timestamp) ? Date.parse(timestamp) : Number.NaN;
  if (Number.isNaN(time)) return 'the timestamp is not RFC 3339 with whole seconds and Z';
  return Math.abs(time - rules.nowMs) > rules.maxTimestampSkewSeconds * 1000
    ? 'the timestamp is too far from the clock of the server'
    : null;
}

function kindOf(headers: Headers): RecordedAuth['kind'] {
  const { authorization } = headers;
  if (authorization === undefined) return 'none';
  if (authorization.startsWith(BEARER)) {
    return INSTANCE_ASSERTION_HEADER in headers ? 'dual' : 'bearer';
  }
  return authorization.startsWith(`${ASSERTION_SCHEME} `) ? 'assertion' : 'other';
}

/** An assertion of the second form, wherever it stands; null when there is none. */
function instanceAssertionOf(headers: Headers): string | null {
  const beside = headers[INSTANCE_ASSERTION_HEADER];
  if (beside !== undefined) return beside;
  const alone = `${ASSERTION_SCHEME} 1.`;
  const { authorization = '' } = headers;
  return authorization.startsWith(alone) ? authorization.slice(ASSERTION_SCHEME.length + 1) : null;
}

/** Byte-exact: compact JSON, keys in their order, base64url without padding. */
function isCanonical(claims: AssertionClaims, authorization: string): boolean {
  const { agent_runtime_id, signature, task_id, timestamp } = claims;
  const json = JSON.stringify({ agent_runtime_id, signature, task_id, timestamp });
  return authorization === `${ASSERTION_SCHEME} ${Buffer.from(json).toString('base64url')}`;
}

function isPaddedBase64(value: string): boolean {
  return Buffer.from(value, 'base64').toString('base64') === value;
}

function refuse(problem: string, refusal: RefusalKind = 'unauthorized'): CheckResult {
  return { refusal, problem };
}
