import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { UpstreamResponse } from '../credentials/rejection.ts';
import type { ResponseHead } from './response-head.ts';
import type { SentBody } from './sent-body.ts';
import type { BodyReader } from './usage/body-reader.ts';

/**
 * What is sent to the upstream. The relay takes the place of reply-from, which leaves the upstream
 * running when the client goes away before the headers, retries a GET on 503, and collects headers
 * into an object. Here nothing is rewritten, and only a response that may reject the credential is
 * held back.
 */
export interface UpstreamRequest {
  dispatcher: Dispatcher;
  origin: string;
  /** Path and query. */
  path: string;
  method: string;
  /** Flat list, already scrubbed and with the credential. */
  headers: string[];
  body: SentBody | Buffer | null;
  /** Whether to ask for a WebSocket. */
  upgrade: boolean;
}

/** What the relay asks and tells its caller. */
export interface RelayEvents {
  /**
   * Called once for each response, before any of it goes to the client.
   * @returns `hold` when its body has to be seen as well, because it may reject the credential
   */
  onHead(head: ResponseHead): 'pass' | 'hold';
  /** The response goes to the client. @returns what looks at its body; null when nothing does */
  onPass(head: ResponseHead): BodyReader | null;
  /** A held response is here as a whole. `drop`: the request will be sent once more. */
  onHeld(response: UpstreamResponse): Promise<'pass' | 'drop'>;
  /** The upstream switched protocols; called in place of `onHead`. */
  onUpgrade(head: ResponseHead, socket: Duplex): void;
}

export type RelayOutcome = 'answered' | 'dropped';
