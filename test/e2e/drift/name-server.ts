import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface NameServer {
  /** Every name that was asked for. */
  names: ReadonlySet<string>;
  close(): void;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TTL_SECONDS = 60;

/** A DNS server (RFC 1035) on port 53 of `address`, which says that every name is at `address`. */
export async function startNameServer(address: string): Promise<NameServer> {
  const names = new Set<string>();
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address: sender }) => {
    const question = readQuestion(query);
    if (!question) return;
    names.add(question.name);
    socket.send(respond(query, question, address), port, sender);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return { names, close: () => socket.close() };
}

interface Question {
  name: string;
  type: number;
  /** Where it ends in the query. */
  end: number;
}

function readQuestion(query: Buffer): Question | null {
  const labels: string[] = [];
  let place = HEADER_BYTES;
  for (;;) {
    const length = query[place];
    if (length === undefined || length > 63) return null;
    place += 1;
    if (length === 0) break;
    labels.push(query.toString('latin1', place, place + length));
    place += length;
  }
  if (place + 4 > query.length) return null;
  return {
    name: labels.join('.').toLowerCase(),
    type: query.readUInt16BE(place),
    end: place + 4,
  };
}

function respond(query: Buffer, { type, end }: Question, address: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180, 2); // a response, with recursion, without an error
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(type === TYPE_A ? 1 : 0, 6);
  const question = query.subarray(HEADER_BYTES, end);
  return Buffer.concat([header, question, ...(type === TYPE_A ? [record(address)] : [])]);
}

/** The address of the name in the question, at offset 12 (RFC 1035, section 4.1.4). */
function record(address: string): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(0xc000 + HEADER_BYTES, 0);
  fixed.writeUInt16BE(TYPE_A, 2);
  fixed.writeUInt16BE(1, 4);
  fixed.writeUInt32BE(TTL_SECONDS, 6);
  fixed.writeUInt16BE(4, 10);
  return Buffer.concat([fixed, Buffer.from(address.split('.').map(Number))]);
}
