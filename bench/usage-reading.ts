import { constants, inflateRawSync } from 'node:zlib';
import { DecodingBudget } from '../src/proxy/usage/aside-decoder.ts';
import { EventStream } from '../src/proxy/usage/event-stream.ts';
import { FrameReader } from '../src/proxy/usage/frame-reader.ts';
import { ServerEvents } from '../src/proxy/usage/server-events.ts';
import { TurnCounter } from '../src/proxy/usage/turn-counter.ts';
import { FrameTracker } from '../src/proxy/websocket/frame-tracker.ts';
import { ExchangeLog } from '../src/telemetry/exchange-record.ts';
import { deflatedTurn, eventFrame } from './frames.ts';
import { delta, endOfTurn } from './stream-events.ts';

/** What the reading of usage takes, processor time in microseconds, batch by batch. */
export interface UsageReading {
  /** A small event of a stream, alone in its packet. */
  event: number[];
  /** The same, in a packet with 199 others. */
  packed: number[];
  /** The event that ends a turn, 30 KB. */
  end: number[];
  /** A small message of a WebSocket, on top of following its frames. */
  message: number[];
  /** The same, compressed. */
  compressed: number[];
  /** What zlib alone takes for that: all messages of a turn in one call. */
  inflate: number[];
}

const INFLATE = { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: 64 * 1024 };
// RFC 7692, section 7.2.1.
const END_OF_MESSAGE = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const BATCHES = 9;
const EVENTS = 50_000;
const PACKET = 200;
const ENDS = 2_000;

/** Processor time of all threads: a machine that is busy with other things disturbs it little. */
async function perPiece(pieces: number, work: () => void | Promise<void>): Promise<number[]> {
  const times: number[] = [];
  // The first two are for the compiler.
  for (let batch = -2; batch < BATCHES; batch++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    if (batch >= 0) times.push((user + system) / pieces);
  }
  return times;
}

function counter(): TurnCounter {
  const log = new ExchangeLog(() => 0, performance.now.bind(performance));
  return new TurnCounter(log.begin('POST', false), { observe: () => undefined }, null);
}

async function measure(): Promise<UsageReading> {
  const now = () => 0;
  const stream = new EventStream(new ServerEvents(counter(), now));
  const small = Buffer.from(delta(1));
  const packet = Buffer.from(delta(1).repeat(PACKET));
  const end = Buffer.from(endOfTurn());
  const frame = eventFrame();
  const turn = deflatedTurn();
  const whole = Buffer.concat(turn.flatMap((bytes) => [bytes.subarray(2), END_OF_MESSAGE]));
  const follow = async (tracker: FrameTracker, frames: readonly Buffer[]) => {
    for (let i = 0; i < EVENTS; i++) {
      tracker.push(frames[i % frames.length] as Buffer);
      if (i % 50 === 0) await new Promise(setImmediate);
    }
  };
  const read = async (extensions: string | null, frames: readonly Buffer[]) => {
    const reader = new FrameReader(extensions, counter(), now, new DecodingBudget());
    await follow(new FrameTracker(reader), frames);
    await reader.finish();
  };
  const bare = await perPiece(EVENTS, () => follow(new FrameTracker(), [frame]));
  const message = await perPiece(EVENTS, () => read(null, [frame]));
  const compressed = await perPiece(EVENTS, () => read('permessage-deflate', turn));
  const without = (times: number[]) => times.map((time, i) => time - Number(bare[i]));
  return {
    event: await perPiece(EVENTS, () => {
      for (let i = 0; i < EVENTS; i++) stream.push(small);
    }),
    end: await perPiece(ENDS, () => {
      for (let i = 0; i < ENDS; i++) stream.push(end);
    }),
    packed: await perPiece(EVENTS, () => {
      for (let i = 0; i < EVENTS / PACKET; i++) stream.push(packet);
    }),
    message: without(message),
    compressed: without(compressed),
    inflate: await perPiece(EVENTS, () => {
      for (let i = 0; i < EVENTS / turn.length; i++) inflateRawSync(whole, INFLATE);
    }),
  };
}

process.send?.(await measure());
process.disconnect?.();
