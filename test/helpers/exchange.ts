import { once } from 'node:events';
import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { Duplex, type Readable, type Writable } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Test } from 'tap';

export interface SendOptions {
  method?: string;
  headers?: OutgoingHttpHeaders | readonly string[];
  body?: string | Buffer;
  agent?: Agent;
  /** For https: whom to trust, and what to show. */
  tls?: ConnectionOptions;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  bytes: Buffer;
  text: string;
}

/** One exchange on a connection of its own. Without `body` and `method` it is a GET. */
export async function send(url: string, options: SendOptions = {}): Promise<Answer> {
  const { request, response } = open(url, options);
  request.end(options.body);
  return readAnswer(await response);
}

/** A request whose body is still to be ended; `response` is there once its headers are. */
export function open(
  url: string,
  options: SendOptions = {},
): { request: ClientRequest; response: Promise<IncomingMessage> } {
  const { method = options.body === undefined ? 'GET' : 'POST', headers = {}, agent } = options;
  const make = url.startsWith('https:') ? httpsRequest : httpRequest;
  const request = make(url, {
    ...options.tls,
    method,
    headers: headers as OutgoingHttpHeaders,
    agent: agent ?? false,
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    // Stays: a connection that is cut later reports it here too.
    request.on('error', reject);
  });
  response.catch(() => undefined);
  return { request, response };
}

export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const bytes = await readAll(response);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    bytes,
    text: bytes.toString('utf8'),
  };
}

/** Everything up to the end. Unlike an async iteration it leaves a connection half open. */
export function readAll(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('closed before the end')));
    stream.resume();
  });
}

/** The error with which `stream` breaks off, instead of an end. */
export async function breakOf(stream: Readable): Promise<string> {
  try {
    await readAll(stream);
    return 'complete';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Waits for the end of a connection, or of what came over it; drops the rest and ends as well. */
export function closeOf(stream: Readable | Writable): Promise<void> {
  stream.on('error', () => undefined);
  if (stream instanceof Duplex) stream.once('end', () => stream.end());
  // An end shows only to those who read.
  if ('resume' in stream) stream.resume();
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}

/** A TCP connection that goes with the test. */
export async function dialTcp(t: Test, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends `text` as it is, and reads up to the end of the connection. */
export async function sendRaw(t: Test, port: number, text: string): Promise<string> {
  const socket = await dialTcp(t, port);
  socket.write(text, 'latin1');
  const answer = await readAll(socket);
  return answer.toString('latin1');
}

/** Reads until `end` has come; what follows it stays unread. */
export function readUntil(socket: Socket, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onEnd = () => reject(new Error(`ended after ${JSON.stringify(text)}`));
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const at = text.indexOf(end);
      if (at === -1) return;
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.pause();
      const rest = text.slice(at + end.length);
      if (rest !== '') socket.unshift(Buffer.from(rest, 'latin1'));
      resolve(text.slice(0, at + end.length));
    };
    socket.on('data', onData);
    socket.once('end', onEnd);
    socket.resume();
  });
}

/** The code of a local error, after a check that header and body agree on it. */
export function localError(t: Test, answer: Answer, status: number, code: string): void {
  t.equal(answer.status, status);
  t.equal(answer.headers['x-sidecar-error'], code);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(answer.headers['set-cookie'], undefined);
  const { error, ...rest } = JSON.parse(answer.text);
  t.strictSame(rest, {});
  t.strictSame(Object.keys(error), ['message', 'type', 'code']);
  t.equal(error.type, 'sidecar_error');
  t.equal(error.code, code);
  t.type(error.message, 'string');
}

/** Head and body of an answer that came over a raw connection. */
export function parseResponse(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers: IncomingHttpHeaders = {};
  const rawHeaders: string[] = [];
  for (const line of lines) {
    const at = line.indexOf(':');
    const value = line.slice(at + 1).trim();
    rawHeaders.push(line.slice(0, at), value);
    headers[line.slice(0, at).toLowerCase()] = value;
  }
  const body = rest.join('\r\n\r\n');
  const status = Number(statusLine.split(' ')[1]);
  return { status, headers, rawHeaders, bytes: Buffer.from(body, 'latin1'), text: body };
}
