import type { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import { closeOf, dialTcp, readAll, readUntil } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStandstill, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, upgradeText } from '../helpers/websocket.ts';

// A binary frame of a server, of 64 KiB.
const FRAME = Buffer.concat([Buffer.from('827f0000000000010000', 'hex'), Buffer.alloc(64 * 1024)]);
// More than the buffers of all sockets on the way can hold.
const TOTAL = 1024 * FRAME.length;

async function openTunnel(t: Test) {
  const server = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, server.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { request, socket: upstream } = await server.nextUpgrade();
  upstream.write(switchingText(request));
  await readUntil(client, '\r\n\r\n');
  return { url, client, upstream };
}

/** Writes as fast as `stream` lets it, then ends. */
function pump(stream: Duplex): { written: number } {
  const progress = { written: 0 };
  const more = () => {
    while (progress.written < TOTAL) {
      progress.written += FRAME.length;
      if (!stream.write(FRAME)) {
        stream.once('drain', more);
        return;
      }
    }
    stream.end();
  };
  more();
  return progress;
}

for (const reader of ['client', 'upstream'] as const) {
  const writer = reader === 'client' ? 'upstream' : 'client';

  t.test(`the ${reader} does not read: the ${writer} stops, and starts again`, async (t) => {
    const { url, ...ends } = await openTunnel(t);
    const progress = pump(ends[writer]);
    const stopped = await untilStandstill(url, () => progress.written);
    t.ok(stopped < TOTAL / 2, `stopped after ${stopped} bytes`);
    t.equal((await readAll(ends[reader])).length, TOTAL);
    ends[reader].end();
    await untilStatus(url, ({ connections }) => connections.websocket === 0);
  });

  t.test(`the ${reader} hangs up unread: the ${writer} is let go`, async (t) => {
    const { url, ...ends } = await openTunnel(t);
    const progress = pump(ends[writer]);
    await untilStandstill(url, () => progress.written);
    ends[reader].destroy();
    await closeOf(ends[writer]);
    t.ok(progress.written < TOTAL);
    await untilStatus(url, ({ connections }) => connections.websocket === 0);
  });
}
