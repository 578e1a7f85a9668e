import { type EmulatedResponse, json } from './response.ts';
import type { RefusalKind } from './verify.ts';

/** How the backend answers a refused credential. */
export function refusalResponse(refusal: RefusalKind): EmulatedResponse {
  switch (refusal) {
    case 'unauthorized':
      return json(401, { detail: 'Unauthorized' });
    case 'task_expired':
      return taskRefusal(refusal, 'The task has expired.');
    case 'task_not_found':
      return taskRefusal(refusal, 'The task was not found.');
    case 'instance_revoked':
      return json(401, {
        error: { message: 'The runtime instance was revoked.', code: 'runtime_instance_revoked' },
      });
    case 'agent_deleted':
      return json(403, {
        error: {
          message: 'Agent runtime has been deleted.',
          type: 'invalid_request_error',
          param: null,
          code: 'biscuit_baker_service_agent_error_status',
        },
      });
  }
}

function taskRefusal(code: string, message: string): EmulatedResponse {
  const body = { error: { message, type: 'invalid_request_error', param: null, code } };
  return json(401, body, { 'x-openai-authorization-error': code });
}
