import { request } from 'undici';
import { WebSocket } from 'ws';

/**
 * A client as careless as a sandboxed agent may be: it sends credentials of its own, none of which
 * must reach the backend.
 */
function clientHeaders(clientToken: string): Record<string, string> {
  return {
    authorization: `Bearer ${clientToken}`,
    cookie: 'session=of-the-client',
    'chatgpt-account-id': 'account-of-the-client',
    'user-agent': 'codex-auth-sidecar-demo',
  };
}

const INPUT = [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }];

/** Inference over server-sent events. */
export async function sseTurn(url: string, clientToken: string): Promise<void> {
  const text = await post(url, clientToken, '/backend-api/codex/responses', {
    model: 'gpt-demo',
    stream: true,
    input: INPUT,
  });
  if (!text.includes('response.completed')) throw new Error('the stream did not complete');
}

/** Remote compaction, version 1. */
export async function compact(url: string, clientToken: string): Promise<void> {
  const text = await post(url, clientToken, '/backend-api/codex/responses/compact', {
    model: 'gpt-demo',
    input: INPUT,
  });
  if (!text.includes('"output"')) throw new Error('the compaction has no output');
}

/** A side request. */
export async function listModels(url: string, clientToken: string): Promise<void> {
  const response = await request(`${url}/backend-api/codex/models?client_version=0.169.0`, {
    headers: clientHeaders(clientToken),
  });
  const text = await response.body.text();
  if (response.statusCode !== 200) throw new Error(`models: ${response.statusCode} ${text}`);
}

/** Inference over a WebSocket. */
export function webSocketTurn(url: string, clientToken: string): Promise<void> {
  const address = `${url.replace('http', 'ws')}/backend-api/codex/responses`;
  const socket = new WebSocket(address, { headers: clientHeaders(clientToken) });
  return new Promise((resolve, reject) => {
    let completed = false;
    socket.on('open', () => {
      socket.send(JSON.stringify({ type: 'response.create', model: 'gpt-demo', input: INPUT }));
    });
    socket.on('message', (data) => {
      if (!data.toString().includes('response.completed')) return;
      completed = true;
      socket.close(1000);
    });
    socket.on('error', reject);
    socket.on('close', (code) => {
      if (completed) resolve();
      else reject(new Error(`the WebSocket closed with ${code} before the turn was complete`));
    });
  });
}

async function post(
  url: string,
  clientToken: string,
  path: string,
  body: unknown,
): Promise<string> {
  const response = await request(url + path, {
    method: 'POST',
    headers: { ...clientHeaders(clientToken), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.body.text();
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${text}`);
  return text;
}
