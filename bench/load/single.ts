import type { Socket } from 'node:net';
import { type JobOf, nowMicros, type ProbeResult, type UploadResult } from '../protocol.ts';
import { postBytes } from '../request-bytes.ts';
import { open } from './connection.ts';
import { ResponseReader } from './response-reader.ts';

/** One request, and its whole response. */
export async function runProbe({ target, response }: JobOf<'probe'>): Promise<ProbeResult> {
  const text = await exchange(target.port, postBytes(target, response));
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end);
  return { status: Number(head.slice(9, 12)), head, body: text.slice(end + 4) };
}

/** One large body. */
export async function runUpload({ target, bytes }: JobOf<'upload'>): Promise<UploadResult> {
  const startedAt = nowMicros();
  await exchange(target.port, postBytes(target, 'json', bytes));
  return { seconds: (nowMicros() - startedAt) / 1e6 };
}

function exchange(port: number, request: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new ResponseReader();
    let text = '';
    const onBytes = (chunk: Buffer, socket: Socket) => {
      text += chunk.toString('latin1');
      if (!reader.push(chunk)) return;
      socket.destroy();
      resolve(text);
    };
    open(port, (socket) => socket.write(request), onBytes, reject);
  });
}
