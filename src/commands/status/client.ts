import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { StatusDocument } from '../../admin/status.ts';
import type { Config } from '../../config/resolve.ts';
import { reachable } from './healthcheck.ts';

/** Where a running sidecar listens. */
export type StatusTarget = { url: string } | { socket: string };

const TIMEOUT_MS = 5_000;

/** Where the sidecar of a configuration listens. */
export function statusTarget(listen: Config['listen']): StatusTarget {
  if (listen.socket !== null) return { socket: listen.socket };
  const host = reachable(listen.host);
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}` };
}

/** Asks a running sidecar for its status. @throws Error of one line when that fails */
export async function fetchStatus(target: StatusTarget): Promise<StatusDocument> {
  // The origin leaves out a user and password in the URL.
  const place = 'url' in target ? new URL(target.url).origin : target.socket;
  const response = parse(await get(target, place));
  if (typeof response?.status === 'string' && response.agentIdentity)
    return response as StatusDocument;
  const refusal = response?.error?.message;
  if (typeof refusal === 'string') throw new Error(`${place} refused: ${refusal}`);
  throw new Error(`${place} did not respond with a status; is it a sidecar?`);
}

function parse(text: string): (Partial<StatusDocument> & { error?: { message?: unknown } }) | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function get(target: StatusTarget, place: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { path: '/auth/status', timeout: TIMEOUT_MS };
    const send = 'url' in target && target.url.startsWith('https:') ? httpsRequest : httpRequest;
    const probe =
      'url' in target
        ? send(new URL(options.path, target.url), options)
        : send({ ...options, socketPath: target.socket });
    probe.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    probe.on('timeout', () => probe.destroy(new Error('no response in time')));
    probe.on('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`${place} cannot be reached (${error.code ?? error.message})`));
    });
    probe.end();
  });
}
