import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { TUNNEL_LIMITS } from '../../../src/proxy/websocket/tunnel.ts';
import { closeOf } from '../../helpers/exchange.ts';
import { GOING_AWAY, masked, openTunnel, text } from '../../helpers/tunnel.ts';

const { quietMs } = TUNNEL_LIMITS;
const PING = 0x89;

/** Status code of a close frame with a mask. */
function codeOf(frame: Buffer): number {
  if (frame.length !== 8 || frame.readUInt16BE(0) !== 0x8882)
    throw new Error(frame.toString('hex'));
  return frame.readUInt16BE(6) ^ frame.readUInt16BE(2);
}

t.test('idle: every message answered, nothing half sent, and silence for a while', async (t) => {
  const { tunnel, up, down, time } = await openTunnel(t);
  t.notOk(tunnel.idle, 'just opened');
  time.now = quietMs;
  t.ok(tunnel.idle);
  await up(masked(9));
  time.now += quietMs * 100;
  t.notOk(tunnel.idle, 'a model may think for long');
  await down(text(9));
  t.notOk(tunnel.idle, 'the answer may go on');
  time.now += quietMs - 1;
  await up(masked(4, PING));
  await down(text(4, PING + 1));
  t.notOk(tunnel.idle);
  time.now += 1;
  t.ok(tunnel.idle, 'a ping is no message');
  await down(text(9, 0x01));
  time.now += quietMs;
  t.notOk(tunnel.idle, 'half a message');
  await down(text(9, 0x80).subarray(0, 4));
  time.now += quietMs;
  t.notOk(tunnel.idle, 'half a frame');
  await down(text(9).subarray(4));
  time.now += quietMs;
  t.ok(tunnel.idle);
  await up(masked(9).subarray(0, 4));
  await down(text(9));
  time.now += quietMs;
  t.notOk(tunnel.idle, 'half a frame of the client');
});

t.test('leaving says 1001 to both sides, and ends when they have answered', async (t) => {
  const { tunnel, up, down, client, upstream, atClient, atUpstream } = await openTunnel(t);
  await up(masked(9));
  await down(text(9));
  tunnel.close(1001);
  await Promise.all([once(client, 'data'), once(upstream, 'data')]);
  t.same(atClient().subarray(11), GOING_AWAY);
  t.equal(codeOf(atUpstream().subarray(15)), 1001);
  const closed = [closeOf(client), closeOf(upstream)];
  client.write(masked(2, 0x88));
  upstream.write(GOING_AWAY);
  await Promise.all([...closed, tunnel.ended]);
  t.equal(atClient().length + atUpstream().length, 11 + 15 + 4 + 8, 'and nothing else was said');
});

t.test('what either side still sends goes nowhere', async (t) => {
  const { tunnel, client, upstream, atClient, atUpstream } = await openTunnel(t);
  tunnel.close(1001);
  tunnel.close(1001);
  await Promise.all([once(client, 'data'), once(upstream, 'data')]);
  const [ended, closed] = [once(upstream, 'end'), [closeOf(client), closeOf(upstream)]];
  client.write(masked(100));
  upstream.write(text(100));
  upstream.write(GOING_AWAY);
  await ended;
  client.write(masked(2, 0x88));
  await Promise.all([...closed, tunnel.ended]);
  t.same(atClient(), GOING_AWAY);
  t.equal(codeOf(atUpstream()), 1001);
});

t.test('while it waits for the end of a frame, no message goes up', async (t) => {
  const { tunnel, down, client, upstream, atClient, atUpstream } = await openTunnel(t);
  const frame = text(50);
  await down(frame.subarray(0, 20));
  tunnel.close(1008);
  // The tunnel sends on whatever it admits, so a ping behind the message would arrive with it.
  client.write(masked(9));
  await new Promise((resolve) => client.write(masked(0, PING), resolve));
  const ended = once(upstream, 'end');
  await down(frame.subarray(20));
  while (atClient().length < 54) await once(client, 'data');
  upstream.end();
  await ended;
  t.notOk(atUpstream().includes('uuu'));
});

t.test('in the middle of a frame of the upstream it waits for the end of that', async (t) => {
  const { tunnel, down, client, atClient } = await openTunnel(t);
  const frame = text(50);
  await down(frame.subarray(0, 20));
  tunnel.close(1001);
  await down(frame.subarray(20, 40));
  t.same(atClient(), frame.subarray(0, 40));
  await down(frame.subarray(40));
  while (atClient().length < 54) await once(client, 'data');
  t.same(atClient(), Buffer.concat([frame, GOING_AWAY]));
});

t.test('in the middle of a frame of the client the upstream is left without one', async (t) => {
  const { tunnel, up, client, upstream, atClient, atUpstream } = await openTunnel(t);
  const half = masked(50).subarray(0, 20);
  await up(half);
  const ended = once(upstream, 'end');
  tunnel.close(1001);
  await Promise.all([once(client, 'data'), ended]);
  t.same(atClient(), GOING_AWAY);
  t.same(atUpstream(), half);
});

t.test('sides that do not answer are closed after a while', async (t) => {
  const { tunnel, client, upstream } = await openTunnel(t, { closeMs: 1 });
  const closed = [closeOf(client), closeOf(upstream)];
  tunnel.close(1001);
  await Promise.all([...closed, tunnel.ended]);
  t.ok(client.destroyed && upstream.destroyed);
});

t.test('a tunnel that is closing already is left to itself', async (t) => {
  const close = masked(2, 0x88);
  const normal = Buffer.from([0x88, 2, 0x03, 0xe8]);
  for (const first of ['up', 'down'] as const) {
    const { tunnel, up, down, atClient, atUpstream } = await openTunnel(t);
    if (first === 'up') await up(close);
    else await down(normal);
    tunnel.close(1001);
    if (first === 'up') await down(normal);
    else await up(close);
    t.same(atClient(), normal);
    t.same(atUpstream(), close);
  }
});

t.test('one that the client has closed ends when the upstream does not answer that', async (t) => {
  const { tunnel, client, upstream, up, atClient } = await openTunnel(t, { closeMs: 1 });
  const close = masked(2, 0x88);
  await up(close);
  const closed = [closeOf(client), closeOf(upstream)];
  tunnel.close(1008);
  await Promise.all([...closed, tunnel.ended]);
  t.equal(atClient().length, 0);
});

for (const more of ['in the same packet', 'with a head in two packets']) {
  t.test(`of several messages those before a refused one go upstream, ${more}`, async (t) => {
    let left = 2;
    const watch = { sink: null, admitsMessage: () => left-- > 0 };
    const { client, upstream, atClient, atUpstream } = await openTunnel(t, {}, watch);
    const admitted = [masked(9), masked(0, PING), masked(3)];
    const refused = masked(5);
    const [closed, ended] = [once(client, 'data'), once(upstream, 'end')];
    const isWhole = more === 'in the same packet';
    const first = isWhole ? refused : refused.subarray(0, 1);
    client.write(Buffer.concat([...admitted, first, ...(isWhole ? [masked(7)] : [])]));
    const size = admitted.reduce((sum, { length }) => sum + length, 0);
    while (atUpstream().length < size) await once(upstream, 'data');
    if (!isWhole) client.write(refused.subarray(1));
    await closed;
    t.same(atClient(), Buffer.from([0x88, 2, 0x03, 0xf0]));
    client.write(masked(2, 0x88));
    upstream.end();
    await ended;
    t.same(atUpstream().subarray(0, size), Buffer.concat(admitted));
    const rest = atUpstream().subarray(size);
    if (isWhole) t.equal(codeOf(rest), 1008);
    else t.same(rest, first, 'in the middle of a frame there is no close frame');
  });
}

t.test('half closed and silent, a tunnel ends; while something flows it does not', async (t) => {
  const { tunnel, down, client, upstream, time } = await openTunnel(t, { halfClosedMs: 10 });
  upstream.allowHalfOpen = true;
  const ended = once(upstream, 'end');
  client.end();
  await ended;
  time.now = 9;
  await down(text(5));
  // Long enough for the timer, whose clock stands still.
  await sleep(50);
  time.now = 18;
  await sleep(50);
  t.notOk(client.destroyed);
  const closed = closeOf(client);
  time.now = 19;
  await Promise.all([closed, tunnel.ended]);
});

t.test('leaving cuts one that is half closed', async (t) => {
  const { tunnel, client, upstream, atClient } = await openTunnel(t);
  upstream.allowHalfOpen = true;
  const ended = once(upstream, 'end');
  client.end();
  await ended;
  tunnel.close(1001);
  await Promise.all([closeOf(client), tunnel.ended]);
  t.equal(atClient().length, 0);
  t.notOk(upstream.destroyed, 'it did not have to answer');
});
