import type { Socket } from 'node:net';
import { type JobOf, nowMicros, quantile, type StreamsResult, type Target } from '../protocol.ts';
import { postBytes } from '../request-bytes.ts';
import { open } from './connection.ts';
import { ResponseReader } from './response-reader.ts';

const STAMP = /"t":(\d+)\}/g;

/** Opens streams evenly over the ramp, at all targets alike, and reads each to its end. */
export function runStreams(job: JobOf<'streams'>): Promise<StreamsResult[]> {
  return Promise.all(job.targets.map((target) => streamFrom(target, job)));
}

function streamFrom(target: Target, job: JobOf<'streams'>): Promise<StreamsResult> {
  const request = postBytes(target, job.response);
  const expected = Number(job.response.split(' ')[1]);
  const seen: Seen = { startedAt: nowMicros(), firstBytes: [], delays: [] };
  const sockets: Socket[] = [];
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clearInterval(ramp);
      for (const socket of sockets) socket.destroy();
      reject(error);
    };
    let running = job.streams;
    const done = () => {
      if (--running === 0) resolve(summary(seen));
    };
    const ramp = setInterval(() => {
      const elapsedMs = (nowMicros() - seen.startedAt) / 1000;
      const due = Math.min(job.streams, Math.ceil((elapsedMs / job.rampMs) * job.streams));
      while (sockets.length < due) {
        sockets.push(readStream(target.port, request, expected, seen, done, fail));
      }
      if (sockets.length === job.streams) clearInterval(ramp);
    }, 1);
  });
}

interface Seen {
  startedAt: number;
  firstBytes: number[];
  delays: number[];
}

function readStream(
  port: number,
  request: Buffer,
  expected: number,
  seen: Seen,
  done: () => void,
  fail: (error: Error) => void,
): Socket {
  const reader = new ResponseReader();
  let sentAt = 0;
  let events = 0;
  let carry = '';
  const send = (socket: Socket) => {
    sentAt = nowMicros();
    socket.write(request);
  };
  const onBytes = (chunk: Buffer, socket: Socket) => {
    const now = nowMicros();
    if (sentAt > 0) seen.firstBytes.push(now - sentAt);
    sentAt = 0;
    const text = carry + chunk.toString('latin1');
    carry = text.slice(text.lastIndexOf('}') + 1);
    for (const [, stamp] of text.matchAll(STAMP)) {
      events++;
      seen.delays.push(now - Number(stamp));
    }
    if (!reader.push(chunk)) return;
    if (events !== expected) throw new Error(`${events} events instead of ${expected}`);
    socket.destroy();
    done();
  };
  return open(port, send, onBytes, fail);
}

function summary({ startedAt, firstBytes, delays }: Seen): StreamsResult {
  const first = Float64Array.from(firstBytes).sort();
  const delay = Float64Array.from(delays).sort();
  return {
    events: delays.length,
    seconds: (nowMicros() - startedAt) / 1e6,
    firstByteP50: quantile(first, 0.5),
    firstByteP99: quantile(first, 0.99),
    firstByteMax: quantile(first, 1),
    delayP50: quantile(delay, 0.5),
    delayP99: quantile(delay, 0.99),
  };
}
