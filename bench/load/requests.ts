import type { Socket } from 'node:net';
import { type JobOf, nowMicros, quantile, type RequestsResult, type Target } from '../protocol.ts';
import { postBytes } from '../request-bytes.ts';
import { open } from './connection.ts';
import { ResponseReader } from './response-reader.ts';

/** Requests back to back: each connection sends the next one when it has the whole response. */
export function runRequests(job: JobOf<'requests'>): Promise<RequestsResult[]> {
  return Promise.all(job.targets.map((target) => requestsTo(target, job)));
}

function requestsTo(target: Target, job: JobOf<'requests'>): Promise<RequestsResult> {
  const bytes = postBytes(target, job.response);
  const latencies: number[] = [];
  const sockets: Socket[] = [];
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      for (const socket of sockets) socket.destroy();
      reject(error);
    };
    const startedAt = nowMicros();
    const endAt = startedAt + job.seconds * 1e6;
    let running = job.connections;
    const done = () => {
      if (--running > 0) return;
      const seconds = (nowMicros() - startedAt) / 1e6;
      const sorted = Float64Array.from(latencies).sort();
      const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
      resolve({ requests: latencies.length, seconds, p50, p99 });
    };
    for (let i = 0; i < job.connections; i++) {
      const reader = new ResponseReader();
      let sentAt = 0;
      const send = (socket: Socket) => {
        sentAt = nowMicros();
        socket.write(bytes);
      };
      const onBytes = (chunk: Buffer, socket: Socket) => {
        if (!reader.push(chunk)) return;
        const now = nowMicros();
        latencies.push(now - sentAt);
        if (now < endAt) {
          send(socket);
        } else {
          socket.destroy();
          done();
        }
      };
      sockets.push(open(target.port, send, onBytes, fail));
    }
  });
}
