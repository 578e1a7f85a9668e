import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface RecordedRequest {
  method: string;
  /** Path and query as they came over the wire. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What the server does with a request: an answer, a closed connection, or nothing at all. */
export type Reaction =
  | { status?: number; headers?: Record<string, string>; body?: string | Buffer }
  /** The connection ends behind this part of a longer body. */
  | { status?: number; headers?: Record<string, string>; breaksOffAfter: string | Buffer }
  | 'close'
  | 'half an answer'
  | 'silence';

export interface RecordingServer {
  url: string;
  requests: RecordedRequest[];
}

/**
 * A real HTTP server on a free port that keeps every request. It plays `reactions` one after the
 * other and repeats the last one; it closes with the test.
 */
export async function startRecordingServer(
  t: Test,
  ...reactions: [Reaction, ...Reaction[]]
): Promise<RecordingServer> {
  const requests: RecordedRequest[] = [];
  const server = createServer(async (request, response) => {
    const reaction = reactions[Math.min(requests.length, reactions.length - 1)] ?? 'close';
    requests.push(await record(request));
    if (reaction === 'silence') return;
    if (reaction === 'close') {
      request.socket.destroy();
    } else if (reaction === 'half an answer') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"task_id":');
    } else if ('breaksOffAfter' in reaction) {
      response.writeHead(reaction.status ?? 200, { 'content-length': '9999', ...reaction.headers });
      response.write(reaction.breaksOffAfter, () => request.socket.end());
    } else {
      response.writeHead(reaction.status ?? 200, reaction.headers);
      response.end(reaction.body ?? '');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  };
}
