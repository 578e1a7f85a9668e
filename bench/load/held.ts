import type { Socket } from 'node:net';
import type { HoldResult, JobOf } from '../protocol.ts';
import { postBytes } from '../request-bytes.ts';
import { open } from './connection.ts';

const TICK_MS = 5;

/** Streams that stay open from one job to the next; nothing is done with what they bring. */
const sockets: Socket[] = [];
let failure: Error | null = null;

/** Opens more of them. */
export function holdStreams(job: JobOf<'hold'>): Promise<HoldResult> {
  const request = postBytes(job.target, job.response);
  const before = sockets.length;
  const wanted = before + job.streams;
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      failure ??= error;
      clearInterval(ramp);
      reject(error);
    };
    let opened = before;
    const onOpen = (socket: Socket) => {
      socket.write(request);
      if (++opened === wanted) resolve({ held: wanted });
    };
    const ticks = Math.max(1, Math.round(job.rampMs / TICK_MS));
    let tick = 0;
    const ramp = setInterval(() => {
      const due = before + Math.ceil((++tick / ticks) * job.streams);
      while (sockets.length < Math.min(due, wanted)) {
        sockets.push(open(job.target.port, onOpen, ignore, fail));
      }
      if (sockets.length === wanted) clearInterval(ramp);
    }, TICK_MS);
  });
}

function ignore(): void {}

/** Closes all of them. @throws what ended one of them early */
export async function releaseStreams(): Promise<HoldResult> {
  for (const socket of sockets.splice(0)) socket.destroy();
  const ended = failure;
  failure = null;
  if (ended !== null) throw ended;
  return { held: 0 };
}
