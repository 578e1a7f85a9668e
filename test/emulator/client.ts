import { once } from 'node:events';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { buildAssertion } from '../../src/agent-identity/assertion.ts';
import { type AgentKey, generateAgentKey, signMessage } from '../../src/agent-identity/keys.ts';
import { wholeSeconds } from '../../src/base/clock.ts';
import {
  type Emulator,
  type EmulatorOptions,
  type IssuedLogin,
  startEmulator,
} from '../../src/emulator/index.ts';

export const RESPONSES = '/backend-api/codex/responses';

/** An emulator that closes itself at the end of the test. */
export async function start(
  t: { teardown(close: () => Promise<void>): void },
  options: EmulatorOptions = {},
): Promise<Emulator> {
  const emulator = await startEmulator(options);
  t.teardown(() => emulator.close());
  return emulator;
}

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Parsed JSON; null when it is none. */
  body: Record<string, unknown>;
}

/** One HTTP exchange. Without a `body` it is a GET. */
export async function call(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Reply> {
  const { headers = {}, body } = options;
  const response = await request(url, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.body.text();
  const isJson = String(response.headers['content-type']).startsWith('application/json');
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : {},
  };
}

export function bearerHeaders(login: IssuedLogin): Record<string, string> {
  return {
    authorization: `Bearer ${login.accessToken}`,
    'chatgpt-account-id': login.accountId,
  };
}

/** A registered agent with a run task, made over the wire. */
export interface RegisteredAgent {
  login: IssuedLogin;
  key: AgentKey;
  agentRuntimeId: string;
  taskId: string;
  /** Assertion and account header for this second, or for `nowMs`. */
  headers(nowMs?: number): Record<string, string>;
}

export function registration(key: AgentKey): Record<string, unknown> {
  return {
    abom: {
      agent_version: '0.1.0',
      agent_harness_id: 'codex-cli',
      running_location: 'sidecar-linux',
    },
    agent_public_key: key.publicKeySsh,
    capabilities: ['responsesapi'],
    ttl: null,
  };
}

export function registerTask(
  emulator: Emulator,
  agentRuntimeId: string,
  key: AgentKey,
  nowMs = Date.now(),
): Promise<Reply> {
  const timestamp = wholeSeconds(nowMs);
  return call(taskUrl(emulator, agentRuntimeId), {
    body: { timestamp, signature: signMessage(key, `${agentRuntimeId}:${timestamp}`) },
  });
}

export function taskUrl(emulator: Emulator, agentRuntimeId: string): string {
  const { authApiBaseUrl } = emulator.upstream;
  return `${authApiBaseUrl}/v1/agent/${encodeURIComponent(agentRuntimeId)}/task/register`;
}

export async function registerAgent(emulator: Emulator): Promise<RegisteredAgent> {
  const login = emulator.issueLogin();
  const key = generateAgentKey();
  const agent = await call(`${emulator.upstream.authApiBaseUrl}/v1/agent/register`, {
    headers: { authorization: `Bearer ${login.accessToken}` },
    body: registration(key),
  });
  const agentRuntimeId = String(agent.body.agent_runtime_id);
  const task = await registerTask(emulator, agentRuntimeId, key);
  const taskId = String(task.body.task_id);
  const headers = (nowMs = Date.now()) => ({
    authorization: buildAssertion(agentRuntimeId, key, taskId, nowMs),
    'chatgpt-account-id': login.accountId,
  });
  return { login, key, agentRuntimeId, taskId, headers };
}

/** Opens a WebSocket at the inference route; rejects with the status of a refused upgrade. */
export async function dial(
  emulator: Emulator,
  headers: Record<string, string>,
): Promise<WebSocket> {
  const socket = new WebSocket(emulator.url.replace('http', 'ws') + RESPONSES, { headers });
  socket.once('unexpected-response', (_request, response) => {
    socket.emit('error', new Error(`status ${response.statusCode}`));
    response.destroy();
  });
  await once(socket, 'open');
  return socket;
}

/** Sends one frame and collects the events up to the end of the turn. */
export function turn(socket: WebSocket, frame: unknown): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    const events: Record<string, unknown>[] = [];
    const receive = (data: unknown) => {
      const event = JSON.parse(String(data));
      events.push(event);
      if (event.type !== 'response.completed' && event.type !== 'error') return;
      socket.off('message', receive);
      resolve(events);
    };
    socket.on('message', receive);
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.send(JSON.stringify(frame));
  });
}

/** The events of a server-sent event stream; throws when its framing is wrong. */
export function readEvents(text: string): Record<string, unknown>[] {
  if (!text.endsWith('\n\n')) throw new Error('the stream does not end with an empty line');
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((block) => {
      const [, type, data] = /^event: (\S+)\ndata: (.*)$/.exec(block) ?? [];
      const event = JSON.parse(data ?? '');
      if (event.type !== type) throw new Error(`event ${type} carries ${event.type}`);
      return event;
    });
}
