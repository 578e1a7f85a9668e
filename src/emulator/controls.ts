import type { FastifyInstance } from 'fastify';
import type { AccountOptions } from './accounts.ts';
import { accepting, createSend } from './app.ts';
import { CONTROL_BODIES } from './control-schemas.ts';
import type { Fault } from './faults.ts';
import type { IdentityTokenOptions } from './issue-identity-token.ts';
import type { Operator } from './operator.ts';
import { badRequest, json, notFound } from './response.ts';
import { type EmulatorSettings, type EmulatorState, exchangeOf } from './state.ts';

interface AccountBody {
  account?: AccountOptions;
}

interface TaskBody {
  task_id: string;
  how?: 'expired' | 'not_found';
}

interface InstanceBody {
  runtime_instance_id: string;
  how?: 'gone' | 'revoked';
}

interface DeviceDecision {
  user_code: string;
  decision?: 'approve' | 'deny';
  account?: AccountOptions;
}

const OPEN = { config: { emulatorAuth: 'none' } } as const;
const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/;

/** `/__emulator/*`: what an {@link Operator} can order, over HTTP, from loopback only. */
export function addControls(app: FastifyInstance, state: EmulatorState, operator: Operator): void {
  app.register(
    async (scope) => {
      const send = createSend(state);
      scope.addHook('onRequest', async (request, reply) => {
        if (!LOOPBACK.test(request.raw.socket.remoteAddress ?? '')) await send(reply, notFound());
      });
      // A control without a body is one with every default.
      scope.addHook('preValidation', async (request) => {
        const { record } = exchangeOf(state, request.raw);
        if (record.bodyBytes === 0) request.body = {};
      });
      addRecordControls(scope, state);
      addIssueControls(scope, state, operator);
      addFaultControls(scope, state, operator);
      addRevocationControls(scope, state, operator);
    },
    { prefix: '/__emulator' },
  );
}

function addRecordControls(app: FastifyInstance, state: EmulatorState): void {
  const { recorder } = state;
  const send = createSend(state);
  app.get('/records', OPEN, (_request, reply) =>
    send(reply, json(200, { records: recorder.records })),
  );
  app.delete('/records', OPEN, (_request, reply) => {
    recorder.clear();
    return send(reply, json(200, {}));
  });
}

function addIssueControls(app: FastifyInstance, state: EmulatorState, operator: Operator): void {
  const send = createSend(state);
  app.post<{ Body: AccountBody }>(
    '/login',
    accepting('none', CONTROL_BODIES.account),
    ({ body }, reply) => send(reply, json(200, operator.issueLogin(body.account))),
  );
  app.post<{ Body: AccountBody }>(
    '/personal-access-token',
    accepting('none', CONTROL_BODIES.account),
    ({ body }, reply) =>
      send(reply, json(200, { token: operator.issuePersonalAccessToken(body.account) })),
  );
  app.post<{ Body: IdentityTokenOptions }>(
    '/identity-token',
    accepting('none', CONTROL_BODIES.identityToken),
    ({ body }, reply) => {
      const token = operator.issueIdentityToken({ ...body, claims: withoutNulls(body.claims) });
      return send(reply, json(200, { token }));
    },
  );
  app.post<{ Body: AccountBody }>(
    '/workload-identity',
    accepting('none', CONTROL_BODIES.workloadRule),
    async ({ body }, reply) => {
      const { ruleId, identityToken } = await operator.issueWorkloadIdentity(body.account);
      return send(reply, json(200, { federation_rule_id: ruleId, identity_token: identityToken }));
    },
  );
  app.post('/api-key', accepting('none', CONTROL_BODIES.nothing), (_request, reply) =>
    send(reply, json(200, { api_key: operator.issueApiKey() })),
  );
}

function addFaultControls(app: FastifyInstance, state: EmulatorState, operator: Operator): void {
  const send = createSend(state);
  app.post<{ Body: Fault }>(
    '/faults',
    accepting('none', CONTROL_BODIES.fault),
    ({ body }, reply) => {
      operator.addFault(body);
      return send(reply, json(200, {}));
    },
  );
  app.delete('/faults', OPEN, (_request, reply) => {
    operator.clearFaults();
    return send(reply, json(200, {}));
  });
  app.patch<{ Body: Partial<EmulatorSettings> }>(
    '/settings',
    accepting('none', CONTROL_BODIES.settings),
    ({ body }, reply) => send(reply, json(200, Object.assign(operator.settings, body))),
  );
}

function addRevocationControls(
  app: FastifyInstance,
  state: EmulatorState,
  operator: Operator,
): void {
  const send = createSend(state);
  app.post<{ Body: TaskBody }>(
    '/tasks/revoke',
    accepting('none', CONTROL_BODIES.revokeTask),
    ({ body }, reply) =>
      send(
        reply,
        attempt(() => operator.revokeTask(body.task_id, body.how)),
      ),
  );
  app.post<{ Body: { agent_runtime_id: string } }>(
    '/agents/delete',
    accepting('none', CONTROL_BODIES.deleteAgent),
    ({ body }, reply) =>
      send(
        reply,
        attempt(() => operator.deleteAgent(body.agent_runtime_id)),
      ),
  );
  app.post<{ Body: InstanceBody }>(
    '/instances/end',
    accepting('none', CONTROL_BODIES.endInstance),
    ({ body }, reply) =>
      send(
        reply,
        attempt(() => operator.endInstance(body.runtime_instance_id, body.how)),
      ),
  );
  app.post<{ Body: DeviceDecision }>(
    '/device-login',
    accepting('none', CONTROL_BODIES.decideDeviceLogin),
    ({ body }, reply) => {
      const who = body.decision === 'deny' ? 'denied' : body.account;
      return send(
        reply,
        attempt(() => operator.decideDeviceLogin(body.user_code, who)),
      );
    },
  );
  app.post('/tokens/expire', accepting('none', CONTROL_BODIES.nothing), (_request, reply) => {
    operator.expireAccessTokens();
    return send(reply, json(200, {}));
  });
}

/** 400 with the reason when the order names something that does not exist. */
function attempt(order: () => void) {
  try {
    order();
    return json(200, {});
  } catch (error) {
    return badRequest(error instanceof Error ? error.message : String(error));
  }
}

/** JSON has no `undefined`: over HTTP a claim of null is one to leave out. */
function withoutNulls(claims: Record<string, unknown> = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [name, value === null ? undefined : value]),
  );
}
