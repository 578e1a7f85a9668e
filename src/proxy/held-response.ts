import type { UpstreamResponse } from '../credentials/rejection.ts';
import type { HeaderLookup, RawHeaders } from './headers.ts';

/** More than this of an answer is not held back; bytes. */
const HELD_BYTES = 64 * 1024;

export interface ResponseHead {
  status: number;
  statusMessage: string | undefined;
  raw: RawHeaders;
  header: HeaderLookup;
}

/** An answer that may reject the credential: the client sees nothing of it until that is known. */
export class HeldResponse {
  readonly head: ResponseHead;
  readonly chunks: Buffer[] = [];
  size = 0;

  constructor(head: ResponseHead) {
    this.head = head;
  }

  /** @returns whether more of it may be held */
  push(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    this.size += chunk.length;
    return this.size <= HELD_BYTES;
  }

  /** What is known of it now. */
  get answer(): UpstreamResponse {
    const { status, header } = this.head;
    return { status, header, body: Buffer.concat(this.chunks).toString('utf8') };
  }
}
