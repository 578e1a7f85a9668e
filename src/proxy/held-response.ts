import type { UpstreamResponse } from '../credentials/rejection.ts';
import { decodeBody } from '../upstream/content-coding.ts';
import type { ResponseHead } from './response-head.ts';

/** Not more than this of a response is held back; bytes. */
const HELD_BYTES = 64 * 1024;
/** More of a decoded body is not looked at. */
const DECODED_BYTES = 256 * 1024;
/** No response is held back for longer, so that one that stalls is still shown. */
const HELD_MS = 3_000;

/** A response that may reject the credential: the client sees nothing of it until that is known. */
export class HeldResponse {
  readonly head: ResponseHead;
  readonly chunks: Buffer[] = [];
  size = 0;
  readonly #timer: NodeJS.Timeout;

  /** @param overdue called when it may not be held any longer, unless {@link settle} comes first */
  constructor(head: ResponseHead, overdue: (held: HeldResponse) => void) {
    this.head = head;
    this.#timer = setTimeout(overdue, HELD_MS, this);
  }

  /** The whole response is here, or it is passed on, or it broke off. */
  settle(): void {
    clearTimeout(this.#timer);
  }

  /** @returns whether more of it may be held */
  push(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    this.size += chunk.length;
    return this.size <= HELD_BYTES;
  }

  /** Head, and the body in plain text, to be judged; the client gets the bytes as they came. */
  async read(): Promise<UpstreamResponse> {
    const { status, header } = this.head;
    const bytes = Buffer.concat(this.chunks);
    const decoded = await decodeBody(bytes, header('content-encoding'), DECODED_BYTES).catch(
      // A small body that grows beyond measure rejects no credential.
      () => null,
    );
    return { status, header, body: decoded?.toString('utf8') ?? '' };
  }
}
