import type { Socket } from 'node:net';

export interface RawAnswer {
  status: number;
  /** `x-sidecar-error`; null where the answer is not one of the sidecar's errors. */
  code: string | null;
  head: string;
  body: string;
}

export interface RawOutcome {
  /** Final answers to the bytes that were sent. */
  answers: RawAnswer[];
  /** Whether the connection took one more request, after which it was closed. */
  goesOn: boolean;
}

const AND_ANOTHER = 'GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

/**
 * Sends `text` (latin1) as it is, waits for one answer or the end of the connection, and asks for
 * `/livez` on it afterwards: what the sidecar left unread, or took for more than one request, shows
 * then.
 * @param hangUp ends the sending side at once, for requests that are never complete
 */
export async function exchangeRaw(
  socket: Socket,
  text: string,
  hangUp = false,
): Promise<RawOutcome> {
  let received = '';
  let asked = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    if (asked || hangUp || splitAnswers(received).length === 0) return;
    asked = true;
    socket.write(AND_ANOTHER);
  });
  socket.once('end', () => socket.end());
  // An error of the connection is an end like any other.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(text, 'latin1');
  if (hangUp) socket.end();
  await closed;
  const answers = splitAnswers(received);
  const goesOn = asked && answers.at(-1)?.body === '{"status":"live"}';
  if (goesOn) answers.pop();
  return { answers, goesOn };
}

/** Sends `text`, and hangs up once the head of an answer is there; for answers that never end. */
export async function beginRaw(
  socket: Socket,
  text: string,
): Promise<Pick<RawAnswer, 'status' | 'code'>> {
  socket.setEncoding('latin1').write(text, 'latin1');
  let received = '';
  for await (const chunk of socket) {
    received += chunk;
    if (received.includes('\r\n\r\n')) break;
  }
  socket.destroy();
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1]);
  return { status, code: /\r\nx-sidecar-error: (\w+)/.exec(received)?.[1] ?? null };
}

/** The complete final answers at the beginning of `text`. */
export function splitAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return answers;
    const head = rest.slice(0, end);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const chunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    const start = end + 4;
    const bodyEnd = chunked ? rest.indexOf('\r\n0\r\n\r\n', start - 2) + 7 : start + length;
    if (bodyEnd < start || rest.length < bodyEnd) return answers;
    if (status >= 200) {
      const code = /\r\nx-sidecar-error: (\w+)/.exec(head)?.[1] ?? null;
      answers.push({ status, code, head, body: rest.slice(start, bodyEnd) });
    }
    rest = rest.slice(bodyEnd);
  }
}
