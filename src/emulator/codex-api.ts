import type { FastifyInstance } from 'fastify';
import type { JsonObject } from '../base/json.ts';
import { limitHeaders } from './account-limits.ts';
import { createSend } from './app.ts';
import { codexRefusal, modelOf, wantsStream } from './request-body.ts';
import { type EmulatedResponse, eventStream, json } from './response.ts';
import type { EmulatorState } from './state.ts';
import { compactedResponse, turnEvents, wholeResponse } from './turn.ts';
import { withUsage } from './usage.ts';
import type { RequiredAuth } from './verify.ts';

/** Base paths of the model routes: the ChatGPT backend and the API with keys. */
export const MODEL_BASES: readonly {
  base: string;
  inference: RequiredAuth;
  other: RequiredAuth;
  /** Why it does not take a body, in its own words; null when it does. */
  refusal: (body: unknown) => string | null;
}[] = [
  {
    base: '/backend-api/codex',
    inference: 'assertion',
    other: 'bearer',
    refusal: codexRefusal,
  },
  { base: '/v1', inference: 'apiKey', other: 'apiKey', refusal: () => null },
];

/** Inference over SSE, compaction and the model list. */
export function addCodexApi(app: FastifyInstance, state: EmulatorState): void {
  const send = createSend(state);
  for (const { base, inference, other, refusal } of MODEL_BASES) {
    const infer = { config: { emulatorAuth: inference } };
    const side = { config: { emulatorAuth: other } };
    app.post(`${base}/responses`, infer, ({ body, headers }, reply) => {
      const detail = refusal(body);
      if (detail !== null) return send(reply, json(400, { detail }));
      const named = {
        'openai-model': modelOf(body),
        ...turnHeaders(state, headers),
        ...(state.settings.tellLimits ? limitHeaders(state.now()) : {}),
      };
      if (!wantsStream(body)) return send(reply, telling(wholeResponse(body, state), named));
      const events = turnEvents(body, state);
      const usage = withUsage(null, events.at(-1)?.response);
      return send(reply, { ...eventStream(events, named), usage });
    });
    app.get(`${base}/responses`, infer, (_request, reply) => send(reply, upgradeRequired()));
    app.post(`${base}/responses/compact`, infer, (_request, reply) =>
      send(reply, telling(compactedResponse(state))),
    );
    app.get(`${base}/models`, side, (_request, reply) => send(reply, modelList()));
  }
}

/** A document that says what it took. */
function telling(document: JsonObject, headers?: Record<string, string>): EmulatedResponse {
  return { ...json(200, document, headers), usage: withUsage(null, document) };
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
