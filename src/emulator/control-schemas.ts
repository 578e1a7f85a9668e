import { RESPONSE_CODINGS } from './compression.ts';
import { FAULT_ACTIONS } from './faults.ts';

const text = { type: 'string', minLength: 1 } as const;
const flag = { type: 'boolean' } as const;
const milliseconds = { type: 'integer', minimum: 0 } as const;

const accountFields = {
  accountId: text,
  userId: text,
  email: { type: ['string', 'null'] },
  planType: text,
  fedramp: flag,
} as const;

/** A JSON Schema that knows every field, so that a misspelt one is refused by name. */
function strict(properties: Record<string, unknown>, required: readonly string[] = []) {
  return { type: 'object', additionalProperties: false, required, properties };
}

const account = strict(accountFields);

/** Body of each control. */
export const CONTROL_BODIES = {
  account: strict({ account }),
  identityToken: strict({
    ...accountFields,
    expiresInSeconds: { type: 'integer' },
    claims: { type: 'object' },
    kid: { type: ['string', 'null'] },
    signWithUnknownKey: flag,
  }),
  nothing: strict({}),
  fault: strict(
    {
      method: text,
      path: { type: 'string', pattern: '^[/*]' },
      times: { type: 'integer', minimum: 0 },
      upgrade: flag,
      status: { type: 'integer', minimum: 200, maximum: 599 },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      body: {},
      delayMs: milliseconds,
      pieceDelayMs: milliseconds,
      action: { enum: FAULT_ACTIONS },
    },
    ['path'],
  ),
  revokeTask: strict({ task_id: text, how: { enum: ['expired', 'not_found'] } }, ['task_id']),
  decideDeviceLogin: strict({ user_code: text, decision: { enum: ['approve', 'deny'] }, account }, [
    'user_code',
  ]),
  workloadRule: strict({ account }),
  deleteAgent: strict({ agent_runtime_id: text }, ['agent_runtime_id']),
  endInstance: strict({ runtime_instance_id: text, how: { enum: ['gone', 'revoked'] } }, [
    'runtime_instance_id',
  ]),
  settings: strict({
    bearerOnAssertionRoutes: { enum: ['accept', 'refuse'] },
    sealTaskIds: flag,
    refreshResponseDelayMs: milliseconds,
    revokeFamilyOnReuse: flag,
    dateSkewSeconds: { type: 'integer' },
    accountHeader: { enum: ['required', 'optional'] },
    maxTimestampSkewSeconds: { type: 'integer', minimum: 0 },
    deviceLogin: flag,
    deviceIntervalSeconds: { type: 'integer', minimum: 1 },
    deviceCodeSeconds: { type: 'integer', minimum: 0 },
    compression: { enum: [...RESPONSE_CODINGS, null] },
    workspaceBackendOrigin: { type: ['string', 'null'] },
    tellLimits: flag,
  }),
} as const;
