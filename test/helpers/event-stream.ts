import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Test } from 'tap';
import { open, type SendOptions } from './exchange.ts';

export interface SentEvent {
  name: string;
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own shape, which the test checks
  data: any;
}

/** A client of `/auth/events`. */
export class EventStream {
  readonly response: IncomingMessage;
  readonly request: ClientRequest;
  /** Everything that came, comments too. */
  text = '';
  readonly ended: Promise<void>;
  readonly #events: SentEvent[] = [];
  #unread = '';
  #wake: () => void = () => undefined;

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.request = request;
    this.response = response;
    response.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
      this.#unread += text;
      this.#parse();
      this.#wake();
    });
    response.on('error', () => undefined);
    this.ended = new Promise((resolve) => response.once('close', resolve));
  }

  static async open(t: Test, url: string, options: SendOptions = {}): Promise<EventStream> {
    const { request, response } = open(`${url}/auth/events`, options);
    request.end();
    t.teardown(() => void request.destroy());
    return new EventStream(request, await response);
  }

  /** The first event that fits and was not taken yet; what came before it is dropped. */
  async next(name: string, fits: (data: SentEvent['data']) => boolean = () => true) {
    for (;;) {
      const event = this.#events.shift();
      if (event?.name === name && fits(event.data)) return event.data;
      if (!event) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #parse(): void {
    const blocks = this.#unread.split('\n\n');
    this.#unread = blocks.pop() ?? '';
    for (const block of blocks) {
      const match = /^event: (.+)\ndata: (.+)$/.exec(block);
      if (match?.[1] && match[2]) this.#events.push({ name: match[1], data: JSON.parse(match[2]) });
    }
  }
}
