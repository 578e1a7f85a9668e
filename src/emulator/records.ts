import type { IncomingMessage } from 'node:http';
import type { TokenUsage } from '../base/token-usage.ts';

/** One request, or one WebSocket, as the emulated backend saw it. */
export interface EmulatorRecord {
  /** Counts from 1 in order of arrival. */
  seq: number;
  /** RFC 3339 time of arrival. */
  at: string;
  transport: 'http' | 'websocket';
  method: string;
  /** With the query. */
  path: string;
  /** Names and values alternating, as on the wire. */
  rawHeaders: string[];
  /** Names in lower case; repeated headers joined with `, `. */
  headers: Record<string, string>;
  auth: RecordedAuth;
  bodyBytes: number;
  /** Parsed JSON; null when there is none, or it is compressed. */
  body: unknown;
  /** Parsed text frames received, WebSocket only. */
  frames: unknown[];
  /** Status of the response; null before it, or when there was none. */
  status: number | null;
  /** The response was sent whole, or the WebSocket was closed cleanly. */
  complete: boolean;
  /** The client went away first. */
  aborted: boolean;
  /** Tokens of the turns that were told to their end, together; null when there was none. */
  usage: TokenUsage | null;
}

export interface RecordedAuth {
  /** `dual`: a bearer, and an assertion beside it. */
  kind: 'assertion' | 'bearer' | 'dual' | 'other' | 'none';
  /** The credential is good, and good for this route. */
  verified: boolean;
  /** Why not; null when it is, and on routes that ask for none. */
  problem: string | null;
  agentRuntimeId: string | null;
  taskId: string | null;
  runtimeInstanceId: string | null;
}

const NO_AUTH: RecordedAuth = {
  kind: 'none',
  verified: false,
  problem: null,
  agentRuntimeId: null,
  taskId: null,
  runtimeInstanceId: null,
};

type Predicate = (record: EmulatorRecord) => boolean;

interface Waiter {
  predicate: Predicate;
  resolve: (record: EmulatorRecord) => void;
  reject: (error: Error) => void;
}

/** Keeps the records in order of arrival and wakes whoever waits for one. */
export class Recorder {
  readonly records: EmulatorRecord[] = [];
  #waiters: Waiter[] = [];
  #seq = 0;
  #closed = false;

  /** Records an arrival. Calls to the emulator's own controls leave no trace. */
  open(
    request: IncomingMessage,
    transport: EmulatorRecord['transport'],
    nowMs: number,
  ): EmulatorRecord {
    const visible = !isControlPath(request.url ?? '');
    if (visible) this.#seq += 1;
    const record: EmulatorRecord = {
      seq: visible ? this.#seq : 0,
      at: new Date(nowMs).toISOString(),
      transport,
      method: request.method ?? '',
      path: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: joinHeaders(request.rawHeaders),
      auth: NO_AUTH,
      bodyBytes: 0,
      body: null,
      frames: [],
      status: null,
      complete: false,
      aborted: false,
      usage: null,
    };
    if (visible) this.records.push(record);
    return record;
  }

  /** To be called once a record is filled in, and after every later change. */
  changed(record: EmulatorRecord): void {
    this.#waiters = this.#waiters.filter(({ predicate, resolve, reject }) => {
      try {
        if (!predicate(record)) return true;
        resolve(record);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
      return false;
    });
  }

  /** The first record that matches, now or later; rejects when the emulator closes before. */
  waitFor(predicate: Predicate): Promise<EmulatorRecord> {
    return new Promise((resolve, reject) => {
      const known = this.records.find(predicate);
      if (known) resolve(known);
      else if (this.#closed) reject(closedError());
      else this.#waiters.push({ predicate, resolve, reject });
    });
  }

  clear(): void {
    this.records.length = 0;
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiters.splice(0)) reject(closedError());
  }
}

/** Lower-cases the names and joins repeated headers, the ones that Node would drop included. */
export function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    const value = rawHeaders[index + 1] ?? '';
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

export function isControlPath(path: string): boolean {
  return path.startsWith('/__emulator/');
}

function closedError(): Error {
  return new Error('the emulator was closed');
}
