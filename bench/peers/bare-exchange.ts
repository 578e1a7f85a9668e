import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureContext } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';

/** Origin of the upstream, and a secure context that trusts it. */
export function upstreamOf([, , origin = '', caFile = '']: string[]) {
  // Made once, as in the sidecar: Node would read the authorities again for each connection.
  const secureContext = createSecureContext(caFile === '' ? {} : { ca: readFileSync(caFile) });
  const connect = { secureContext };
  const agent = new Agent({ connections: null, headersTimeout: 0, bodyTimeout: 0, connect });
  return { origin, secureContext, agent };
}

const HOP = new Set(['connection', 'host', 'keep-alive', 'transfer-encoding']);

function endToEnd(raw: readonly (Buffer | string)[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]);
    if (!HOP.has(name.toLowerCase())) headers.push(name, String(raw[i + 1]));
  }
  return headers;
}

/** In one piece where it came with its head, as in the sidecar. */
function bodyOf(request: IncomingMessage): Buffer | IncomingMessage {
  const { 'content-length': length } = request.headers;
  if (String(request.readableLength) !== length) return request;
  const body = request.read() as Buffer;
  request.resume();
  return body;
}

/** One exchange, with nothing but the headers of the hop taken out. */
export function exchange(
  agent: Agent,
  origin: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  agent.dispatch(
    {
      origin,
      path: request.url ?? '/',
      method: request.method as Dispatcher.HttpMethod,
      headers: endToEnd(request.rawHeaders),
      body: bodyOf(request),
    },
    {
      onRequestStart: () => undefined,
      onResponseStart(controller, status) {
        response.writeHead(status, endToEnd(controller.rawHeaders as (Buffer | string)[]));
      },
      onResponseData: (_controller, chunk) => void response.write(chunk),
      onResponseEnd: () => void response.end(),
      onResponseError: () => void response.destroy(),
    },
  );
}
