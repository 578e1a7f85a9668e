import type { Socket } from 'node:net';
import { deflatedTurn, EVENT_FRAME_BYTES } from '../frames.ts';
import { type JobOf, nowMicros, type SocketsResult, TURN_EVENTS } from '../protocol.ts';
import { messageFrame, upgradeBytes } from '../request-bytes.ts';
import { open } from './connection.ts';

/** WebSockets on which turns follow each other: a large message up, many small events down. */
export function runSockets(job: JobOf<'sockets'>): Promise<SocketsResult> {
  const turnBytes = job.deflate
    ? Buffer.concat(deflatedTurn()).length
    : TURN_EVENTS * EVENT_FRAME_BYTES;
  const upgrade = upgradeBytes(job.target, job);
  const message = messageFrame();
  const sockets: Socket[] = [];
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      for (const socket of sockets) socket.destroy();
      reject(error);
    };
    let opening = job.sockets;
    let startedAt = 0;
    let bytes = 0;
    const begin = () => {
      startedAt = nowMicros();
      for (const socket of sockets) socket.write(message);
      setTimeout(() => {
        const seconds = (nowMicros() - startedAt) / 1e6;
        for (const socket of sockets) socket.destroy();
        resolve({ messages: Math.floor((bytes / turnBytes) * TURN_EVENTS), seconds });
      }, job.seconds * 1000);
    };
    for (let i = 0; i < job.sockets; i++) {
      let switched = false;
      let received = 0;
      const onBytes = (chunk: Buffer, socket: Socket) => {
        if (!switched) {
          const head = chunk.toString('latin1');
          if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no upgrade: ${head}`);
          switched = true;
          if (--opening === 0) begin();
          return;
        }
        received += chunk.length;
        bytes += chunk.length;
        if (received < turnBytes) return;
        received -= turnBytes;
        socket.write(message);
      };
      sockets.push(open(job.target.port, (socket) => socket.write(upgrade), onBytes, fail));
    }
  });
}
