import type { FastifyInstance } from 'fastify';
import { parseSshPublicKey } from '../agent-identity/keys.ts';
import type { EmulatedAccount } from './accounts.ts';
import { accepting, createSend } from './app.ts';
import type { Instance } from './instances.ts';
import { badRequest, type EmulatedResponse, json } from './response.ts';
import type { EmulatorState } from './state.ts';

interface RegisterInstance {
  Body: {
    actor_auth: { type: 'oauth' | 'personal_access_token'; credential: string };
    agent_host_auth: { type: 'installation_id'; installation_id: string };
    public_key: string;
    metadata: { harness: string; harness_version: string; role: string };
  };
}

const UUID = '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';

const text = { type: 'string', minLength: 1 } as const;

/** An object with exactly these fields. */
function exactly(properties: Record<string, unknown>) {
  const required = Object.keys(properties);
  return { type: 'object', additionalProperties: false, required, properties };
}

const REGISTER_INSTANCE_BODY = exactly({
  actor_auth: exactly({ type: { enum: ['oauth', 'personal_access_token'] }, credential: text }),
  agent_host_auth: exactly({
    type: { const: 'installation_id' },
    installation_id: { type: 'string', pattern: UUID },
  }),
  public_key: text,
  metadata: exactly({
    harness: { const: 'codex' },
    harness_version: text,
    role: { const: 'orchestrator' },
  }),
});

/** Registration of runtime instances, as Codex 0.171.0 asks for it. */
export function addInstanceApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  app.post<RegisterInstance>(
    '/agent/register',
    accepting('none', REGISTER_INSTANCE_BODY),
    ({ body, headers }, reply) => {
      if (headers.authorization !== undefined) {
        return send(reply, badRequest('authorization must be absent'));
      }
      const key = headers['idempotency-key'];
      if (typeof key !== 'string' || !new RegExp(UUID).test(key)) {
        return send(reply, refusal(400, 'runtime_idempotency_key_invalid'));
      }
      return send(reply, registerInstance(state, body, key));
    },
  );
}

function registerInstance(
  state: EmulatorState,
  body: RegisterInstance['Body'],
  idempotencyKey: string,
): EmulatedResponse {
  const { public_key: publicKeySsh, agent_host_auth: host } = body;
  try {
    parseSshPublicKey(publicKeySsh);
  } catch {
    return refusal(400, 'runtime_input_invalid');
  }
  const account = actorOf(state, body.actor_auth);
  if (!account) return refusal(401, 'runtime_actor_invalid');
  const instance = state.instances.register({
    idempotencyKey,
    publicKeySsh,
    account,
    installationId: host.installation_id,
    request: JSON.stringify(body),
  });
  return instance ? registered(instance) : refusal(409, 'runtime_registration_conflict');
}

/** Whose credential it is; null when it is not a good one of its kind. */
function actorOf(
  { tokens, now }: EmulatorState,
  { type, credential }: RegisterInstance['Body']['actor_auth'],
): EmulatedAccount | null {
  const grant = tokens.find(credential);
  if (type === 'personal_access_token') return grant?.kind === 'personal' ? grant.account : null;
  if (grant?.kind !== 'access' || grant.revoked || grant.expiresAtMs <= now()) return null;
  return grant.account;
}

function registered({ instanceId, hostId, account }: Instance): EmulatedResponse {
  const { userId, accountId } = account;
  return json(200, {
    runtime_agent_instance_id: instanceId,
    agent_host_id: hostId,
    actor: { kind: 'chatgpt', user_id: userId, account_id: accountId },
  });
}

function refusal(status: number, code: string): EmulatedResponse {
  return json(status, { error: { message: `refused: ${code}`, code } });
}
