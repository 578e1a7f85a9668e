import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { leaksIn, SHORTEST } from './leaks.ts';

/** Secrets of this process's tests by value, with what each is. */
const secrets = new Map<string, string>();

/** Fields of `auth.json`, and of what stands in it. */
const SECRET_FIELDS = new Set([
  'OPENAI_API_KEY',
  'access_token',
  'agent_identity',
  'agent_private_key',
  'id_token',
  'personal_access_token',
  'refresh_token',
  'signature',
  'task_id',
]);
const SECRET_HEADERS = new Set(['authorization', 'cookie', 'x-sidecar-token']);

/** From now on nothing that a watched sidecar says may hold `value`. */
export function noteSecret(what: string, value: string): void {
  if (value.length < SHORTEST || secrets.has(value)) return;
  secrets.set(value, what);
  const parts = value.split('.');
  // Nothing of a JWT either: its payload may be private, and its signature makes it whole.
  if (parts.length === 3) for (const part of parts.slice(1)) noteSecret(`part of ${what}`, part);
  // An assertion is one piece of base64url, and so is the payload of a JWT.
  noteSecretsIn(parseJson(Buffer.from(value, 'base64url').toString()));
}

/** Notes what is secret in a document: `auth.json`, claims, a registration. */
export function noteSecretsIn(document: unknown): void {
  if (typeof document !== 'object' || document === null) return;
  for (const [name, value] of Object.entries(document)) {
    if (typeof value !== 'string') noteSecretsIn(value);
    else if (SECRET_FIELDS.has(name)) noteSecret(name, value);
  }
}

/** Notes the credentials that an environment holds. */
export function noteEnvironment(env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(env)) {
    if (/^CODEX_.*(KEY|TOKEN|IDENTITY)$/.test(name) && value) noteSecret(name, value.trim());
  }
}

function noteHeaders(flat: readonly string[]): void {
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = String(flat[i]).toLowerCase();
    const value = String(flat[i + 1]);
    if (SECRET_HEADERS.has(name)) noteSecret(`a header ${name}`, value.replace(/^\w+ +/, ''));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// What servers of this process receive: sidecars their clients' tokens, upstreams the credentials.
subscribe('http.server.request.start', (message) => {
  noteHeaders((message as { request: IncomingMessage }).request.rawHeaders);
});
// What is sent from this process, upgrades and refreshes included.
subscribe('undici:request:create', (message) => {
  const { headers, body } = (message as { request: { headers?: unknown; body?: unknown } }).request;
  if (Array.isArray(headers)) noteHeaders(headers);
  else if (typeof headers === 'string') noteHeaders(headers.split(/: |\r\n/));
  if (typeof body === 'string') noteSecretsIn(parseJson(body));
});

/** Notes the secrets that a stored login holds. @param text content of `auth.json` */
export function noteStored(text: string): void {
  noteSecretsIn(parseJson(text));
}

/** More than this of what goes over one connection is not kept. */
const KEPT_OCTETS = 256 * 1024;

/** Keeps what a server sends: answers, errors, status, metrics, streams. */
export function watchAnswers(server: Server): () => string {
  const sent: string[] = [];
  const watched = new WeakSet<Socket>();
  server.prependListener('connection', (socket: Socket) => {
    if (watched.has(socket)) return;
    watched.add(socket);
    let kept = 0;
    for (const name of ['write', 'end'] as const) {
      const original = socket[name];
      socket[name] = function keepAnd(this: Socket, ...args: unknown[]): never {
        const [chunk] = args;
        if (typeof chunk === 'string' || chunk instanceof Uint8Array) {
          kept += chunk.length;
          if (kept < KEPT_OCTETS) sent.push(Buffer.from(chunk).toString('latin1'));
        }
        return Reflect.apply(original, this, args) as never;
      };
    }
  });
  return () => sent.join('');
}

/**
 * Fails when one of the secrets that are known by now stands in `said`.
 * @throws Error that says what leaked and where, without its value
 */
export function assertNoLeaks(said: Record<string, string>): void {
  for (const [where, text] of Object.entries(said)) {
    for (const [secret, what] of secrets) {
      const [form] = leaksIn(text, secret);
      if (form === undefined) continue;
      const at = text.indexOf(form);
      const around = `${text.slice(Math.max(0, at - 80), at)}[${what}]`;
      throw new Error(`a secret leaked into ${where}: ${JSON.stringify(around)}`);
    }
  }
}
