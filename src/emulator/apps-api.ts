import type { FastifyInstance } from 'fastify';
import { isObject } from '../base/json.ts';
import { createSend } from './app.ts';
import { fieldOf } from './request-body.ts';
import { type EmulatedResponse, json } from './response.ts';
import type { EmulatorState } from './state.ts';

const BEARER = { config: { emulatorAuth: 'bearer' } } as const;
const METHOD_NOT_FOUND = -32601;

/** Codex's apps: a server of the Model Context Protocol without any tool. */
export function addAppsApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  app.post('/backend-api/ps/mcp', BEARER, ({ body }, reply) => send(reply, respond(body)));
  // It has nothing to say unasked.
  app.get('/backend-api/ps/mcp', BEARER, (_request, reply) => send(reply, json(405, {})));
}

function respond(message: unknown): EmulatedResponse {
  const id = fieldOf(message, 'id');
  if (id === undefined) return json(202, {});
  const result = resultOf(message);
  if (result) return json(200, { jsonrpc: '2.0', id, result });
  const error = { code: METHOD_NOT_FOUND, message: 'Method not found' };
  return json(200, { jsonrpc: '2.0', id, error });
}

function resultOf(message: unknown): object | null {
  const params = fieldOf(message, 'params');
  switch (fieldOf(message, 'method')) {
    case 'initialize':
      return {
        protocolVersion: isObject(params) ? params.protocolVersion : undefined,
        capabilities: { tools: {} },
        serverInfo: { name: 'emulated-apps', version: '1' },
      };
    case 'tools/list':
      return { tools: [] };
    case 'ping':
      return {};
    default:
      return null;
  }
}
