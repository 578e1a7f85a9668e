import { wholeSeconds } from '../base/clock.ts';
import { isSegmentId, isTaskId, NOT_SEGMENT_ID } from '../base/header-text.ts';
import { textAt } from '../base/json.ts';
import type { Secret } from '../base/secret.ts';
import { type AgentKey, signMessage } from './keys.ts';
import {
  messageOf,
  postWithRetries,
  type Registered,
  type RegistrationDeps,
  unusable,
} from './registration-call.ts';
import { openSealedTaskId } from './sealed-task-id.ts';

/** Where and how to register. `baseUrl` is AuthAPI, e.g. `https://auth.openai.com/api/accounts`. */
export interface AuthApi extends RegistrationDeps {
  baseUrl: string;
  /** Bounds of one attempt in milliseconds; Codex uses 15 s and 30 s. */
  agentTimeoutMs?: number;
  taskTimeoutMs?: number;
}

const AUTH_API = {
  server: 'AuthAPI',
  isSuccess: (status: number) => status >= 200 && status < 300,
};
const AGENT = { ...AUTH_API, what: 'agent registration' };
const TASK = { ...AUTH_API, what: 'task registration' };

/**
 * Registers the public key of a new agent for the account of `accessToken`
 * (`POST /v1/agent/register`, openai/codex pull request 18785; body observed from 0.169.0).
 * @returns the agent runtime id
 */
export async function registerAgent(
  api: AuthApi,
  agent: {
    key: AgentKey;
    accessToken: Secret;
    fedramp: boolean;
    version: string;
    platform: string;
  },
): Promise<string> {
  const response = await postWithRetries(api, AGENT, () => ({
    url: `${api.baseUrl}/v1/agent/register`,
    timeoutMs: api.agentTimeoutMs ?? 15_000,
    headers: {
      authorization: `Bearer ${agent.accessToken.reveal()}`,
      ...(agent.fedramp ? { 'x-openai-fedramp': 'true' } : {}),
    },
    body: {
      abom: {
        agent_version: agent.version,
        agent_harness_id: 'codex-cli',
        running_location: `sidecar-${agent.platform}`,
      },
      agent_public_key: agent.key.publicKeySsh,
      capabilities: ['responsesapi'],
      ttl: null,
    },
    secret: agent.accessToken,
  }));
  const id = textAt(response.fields, 'agent_runtime_id');
  if (id === null) return unusable(response, 'lacks agent_runtime_id');
  return isSegmentId(id)
    ? id
    : unusable(response, `holds an agent_runtime_id that ${NOT_SEGMENT_ID}`);
}

/**
 * Registers the one run task of an agent (`POST /v1/agent/{id}/task/register`, openai/codex pull
 * request 19047). The same for a JWT identity and a registered one; exactly two body fields.
 * @returns the task id, opened if the backend sealed it
 */
export async function registerTask(
  api: AuthApi,
  agent: { agentRuntimeId: string; key: AgentKey },
): Promise<string> {
  const { agentRuntimeId, key } = agent;
  const response = await postWithRetries(api, TASK, () => {
    const timestamp = wholeSeconds(api.now());
    return {
      url: `${api.baseUrl}/v1/agent/${encodeURIComponent(agentRuntimeId)}/task/register`,
      timeoutMs: api.taskTimeoutMs ?? 30_000,
      headers: {},
      body: { timestamp, signature: signMessage(key, `${agentRuntimeId}:${timestamp}`) },
      secret: null,
    };
  });
  const plain = textAt(response.fields, 'task_id') ?? textAt(response.fields, 'taskId');
  if (plain !== null) return checkedTaskId(response, plain);
  const sealed =
    textAt(response.fields, 'encrypted_task_id') ?? textAt(response.fields, 'encryptedTaskId');
  if (sealed === null) return unusable(response, 'lacks task_id and encrypted_task_id');
  const opened = await openSealedTaskId(key, sealed).catch((cause: unknown) =>
    unusable(response, `cannot be used: ${messageOf(cause)}`, cause),
  );
  return opened.trim() === ''
    ? unusable(response, 'holds a blank task id')
    : checkedTaskId(response, opened);
}

function checkedTaskId(response: Registered, taskId: string): string {
  return isTaskId(taskId)
    ? taskId
    : unusable(response, 'holds a task id that no assertion can carry');
}
