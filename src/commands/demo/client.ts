import { Agent } from 'node:http';
import { Client, type Dispatcher } from 'undici';
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
    instructions: 'Be brief.',
    input: INPUT,
    store: false,
    stream: true,
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
  const path = '/backend-api/codex/models?client_version=0.169.0';
  await ask(url, { method: 'GET', path, headers: clientHeaders(clientToken) });
}

/** Inference over a WebSocket. */
export function webSocketTurn(url: string, clientToken: string): Promise<void> {
  const address = `${url.replace('http', 'ws')}/backend-api/codex/responses`;
  const socket = new WebSocket(address, {
    headers: clientHeaders(clientToken),
    agent: new Agent(),
  });
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

function post(url: string, clientToken: string, path: string, body: unknown): Promise<string> {
  const headers = { ...clientHeaders(clientToken), 'content-type': 'application/json' };
  return ask(url, { method: 'POST', path, headers, body: JSON.stringify(body) });
}

/** By a connection of its own: the global ones of undici and Node.js may go to a proxy. */
async function ask(url: string, options: Dispatcher.RequestOptions): Promise<string> {
  const client = new Client(url);
  try {
    const { body, statusCode } = await client.request(options);
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${options.path}: ${statusCode} ${text}`);
    return text;
  } finally {
    await client.close();
  }
}
