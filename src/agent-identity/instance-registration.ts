import { randomUUID } from 'node:crypto';
import { isTaskId } from '../base/header-text.ts';
import { isObject, textAt } from '../base/json.ts';
import type { Secret } from '../base/secret.ts';
import type { AgentKey } from './keys.ts';
import {
  postWithRetries,
  type Registered,
  type RegistrationDeps,
  unusable,
} from './registration-call.ts';

/** Where runtime instances are registered, e.g. `https://auth.openai.com/agent/register`. */
export interface InstanceApi extends RegistrationDeps {
  url: string;
  /** Bound of one attempt in milliseconds. */
  timeoutMs?: number;
}

/** The account that a runtime instance acts for. */
export interface InstanceActor {
  type: 'oauth' | 'personal_access_token';
  credential: Secret;
  /** null when the credential does not say. */
  accountId: string | null;
  userId: string | null;
}

/** The code that says that an instance, or whoever registered it, has no right to be any more. */
export const INSTANCE_REVOKED = 'runtime_instance_revoked';

const CALL = {
  what: 'runtime instance registration',
  server: 'the authorization server',
  // Codex takes nothing else (measured, 0.171.0).
  isSuccess: (status: number) => status === 200,
};

/**
 * Registers the public key of a new runtime instance, the second form of Agent Identity
 * (`POST /agent/register`, observed from Codex 0.169.0 and 0.171.0; no public source).
 * @returns the id of the runtime instance
 * @throws RegistrationError
 */
export async function registerInstance(
  api: InstanceApi,
  instance: { key: AgentKey; actor: InstanceActor; installationId: string; version: string },
): Promise<string> {
  const { key, actor, installationId, version } = instance;
  // The same for each attempt, so that none registers a second instance for this key.
  const idempotencyKey = randomUUID();
  const response = await postWithRetries(api, CALL, () => ({
    url: api.url,
    timeoutMs: api.timeoutMs ?? 15_000,
    headers: { 'idempotency-key': idempotencyKey },
    body: {
      actor_auth: { type: actor.type, credential: actor.credential.reveal() },
      agent_host_auth: { type: 'installation_id', installation_id: installationId },
      public_key: key.publicKeySsh,
      metadata: { harness: 'codex', harness_version: version, role: 'orchestrator' },
    },
    secret: actor.credential,
  }));
  checkActor(response, actor);
  const id = textAt(response.fields, 'runtime_agent_instance_id');
  if (id === null) return unusable(response, 'lacks runtime_agent_instance_id');
  return isTaskId(id)
    ? id
    : unusable(response, 'holds a runtime_agent_instance_id that no assertion can carry');
}

/** An instance of another account must not sign the requests of this one. */
function checkActor(response: Registered, expected: InstanceActor): void {
  const { actor } = response.fields;
  if (!isObject(actor) || actor.kind !== 'chatgpt') unusable(response, 'names no ChatGPT account');
  const matches = (field: string, value: string | null) =>
    value === null || textAt(actor, field) === value;
  if (!matches('account_id', expected.accountId) || !matches('user_id', expected.userId)) {
    unusable(response, 'names another account than the login');
  }
}
