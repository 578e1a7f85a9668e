import type { FastifyInstance } from 'fastify';
import { parseSshPublicKey } from '../agent-identity/keys.ts';
import { sealTaskId } from '../agent-identity/sealed-task-id.ts';
import type { EmulatedAccount } from './accounts.ts';
import type { Agent } from './agents.ts';
import { accepting, createSend } from './app.ts';
import { refusalResponse } from './refusals.ts';
import { badRequest, type EmulatedResponse, json, notFound } from './response.ts';
import { type EmulatorState, ofAccount } from './state.ts';
import { verifyRegistration } from './verify.ts';

const PREFIX = '/api/accounts/v1';

interface RegisterAgent {
  Body: { agent_public_key: string };
}

interface RegisterTask {
  Params: { id: string };
  Body: { timestamp: string; signature: string };
}

const text = { type: 'string', minLength: 1 } as const;

const REGISTER_AGENT_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['abom', 'agent_public_key', 'capabilities', 'ttl'],
  properties: {
    abom: {
      type: 'object',
      additionalProperties: false,
      required: ['agent_version', 'agent_harness_id', 'running_location'],
      properties: {
        agent_version: text,
        agent_harness_id: { enum: ['codex-cli', 'codex-app'] },
        running_location: text,
      },
    },
    agent_public_key: text,
    capabilities: { const: ['responsesapi'] },
    ttl: { type: 'null' },
  },
} as const;

const REGISTER_TASK_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['timestamp', 'signature'],
  properties: { timestamp: text, signature: text },
} as const;

/** AuthAPI: registration of agents and run tasks, and whoami for personal access tokens. */
export function addAuthApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  app.post<RegisterAgent>(
    `${PREFIX}/agent/register`,
    accepting('registration', REGISTER_AGENT_BODY),
    ({ raw, body }, reply) =>
      send(
        reply,
        ofAccount(state, raw, (account) => registerAgent(state, account, body.agent_public_key)),
      ),
  );
  app.post<RegisterTask>(
    `${PREFIX}/agent/:id/task/register`,
    accepting('none', REGISTER_TASK_BODY),
    async ({ headers, params, body }, reply) => {
      const agent = state.agents.find(params.id);
      if (headers.authorization !== undefined) {
        return send(reply, badRequest('authorization must be absent'));
      }
      return send(reply, agent === null ? notFound() : await registerTask(state, agent, body));
    },
  );
  app.get(
    `${PREFIX}/user-auth-credential/whoami`,
    { config: { emulatorAuth: 'whoami' } },
    ({ raw }, reply) => send(reply, ofAccount(state, raw, whoami)),
  );
}

function registerAgent(
  state: EmulatorState,
  account: EmulatedAccount,
  publicKey: string,
): EmulatedResponse {
  try {
    parseSshPublicKey(publicKey);
  } catch {
    return badRequest('agent_public_key must be an OpenSSH Ed25519 public key');
  }
  const { agentRuntimeId } = state.agents.register(publicKey, account);
  return json(200, { agent_runtime_id: agentRuntimeId });
}

async function registerTask(
  state: EmulatorState,
  agent: Agent,
  body: RegisterTask['Body'],
): Promise<EmulatedResponse> {
  const { maxTimestampSkewSeconds, sealTaskIds } = state.settings;
  const problem = verifyRegistration(agent, body, { nowMs: state.now(), maxTimestampSkewSeconds });
  if (problem !== null) return json(401, { error: { message: problem, code: 'unauthorized' } });
  if (agent.deleted) return refusalResponse('agent_deleted');
  const taskId = state.agents.registerTask(agent);
  if (!sealTaskIds) return json(200, { task_id: taskId });
  return json(200, { encrypted_task_id: await sealTaskId(agent.publicKeySsh, taskId) });
}

function whoami(account: EmulatedAccount): EmulatedResponse {
  const { email, userId, accountId, planType, fedramp } = account;
  return json(200, {
    ...(email === null ? {} : { email }),
    chatgpt_user_id: userId,
    chatgpt_account_id: accountId,
    chatgpt_plan_type: planType,
    chatgpt_account_is_fedramp: fedramp,
  });
}
