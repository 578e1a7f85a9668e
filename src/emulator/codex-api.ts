import type { FastifyInstance } from 'fastify';
import { createSend } from './app.ts';
import { type EmulatedResponse, eventStream, json } from './response.ts';
import type { EmulatorState } from './state.ts';
import { compactOutput, modelOf, turnEvents } from './turn.ts';
import type { RequiredAuth } from './verify.ts';

/** Base paths of the model routes: the ChatGPT backend and the API with keys. */
export const MODEL_BASES: readonly {
  base: string;
  inference: RequiredAuth;
  other: RequiredAuth;
}[] = [
  { base: '/backend-api/codex', inference: 'assertion', other: 'bearer' },
  { base: '/v1', inference: 'apiKey', other: 'apiKey' },
];

/** Inference over SSE, compaction and the model list. */
export function addCodexApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  for (const { base, inference, other } of MODEL_BASES) {
    const infer = { config: { emulatorAuth: inference } };
    const side = { config: { emulatorAuth: other } };
    app.post(`${base}/responses`, infer, ({ body, headers }, reply) =>
      send(
        reply,
        eventStream(turnEvents(body, state.nextId), {
          'openai-model': modelOf(body),
          ...turnHeaders(state, headers),
        }),
      ),
    );
    app.get(`${base}/responses`, infer, (_request, reply) => send(reply, upgradeRequired()));
    app.post(`${base}/responses/compact`, infer, (_request, reply) =>
      send(reply, json(200, compactOutput(state.nextId))),
    );
    app.get(`${base}/models`, side, (_request, reply) => send(reply, modelList()));
  }
}

/** The state of a turn, which a client sends back until the turn is over. */
export function turnHeaders(
  state: EmulatorState,
  headers: Record<string, string | string[] | undefined>,
): Record<string, string> {
  const known = headers['x-codex-turn-state'];
  return { 'x-codex-turn-state': typeof known === 'string' ? known : state.nextId('turn-') };
}

/** Empty, in the shape of both bases: Codex then uses the list that it brings along. */
function modelList(): EmulatedResponse {
  return json(200, { object: 'list', data: [], models: [] });
}

function upgradeRequired(): EmulatedResponse {
  return json(426, { detail: 'Upgrade Required' }, { upgrade: 'websocket' });
}
