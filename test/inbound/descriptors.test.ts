import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { DescriptorWatch } from '../../src/inbound/descriptors.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { dialTcp, localError, parseResponse, readUntil } from '../helpers/exchange.ts';
import { makeFile, serve } from '../helpers/program.ts';
import { Home, MODELS } from '../helpers/sidecar-with-clock.ts';

/** Lowers the limit until no number below it is free. */
function takeDescriptors(pid: number): void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (open.has(free)) free++;
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${free}:${free}`]);
}

const server = createServer();

async function listening() {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return server;
}

async function arrive(): Promise<void> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = await once(server, 'connection');
  accepted.destroy();
  socket.destroy();
}

t.test('running out of descriptors is logged, and a 503 that names the limit', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  home.write(emulator.issueLogin().authJson);
  const upstream = { ...emulator.upstream, proxy: null };
  const config = await makeFile(t, 'config.json', { codexHome: home.folder, upstream });
  const { program, url } = await serve(t, ['--config', config]);
  const client = await dialTcp(t, Number(new URL(url).port));
  // Answered by the sidecar itself, so that the connection is there before the limit is lowered.
  client.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await readUntil(client, '\r\n\r\n');
  takeDescriptors(program.pid);
  client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  const head = await readUntil(client, 'HTTP/1.1 503');
  t.ok(head);
  const rest = await readUntil(client, '}}');
  localError(t, parseResponse(`HTTP/1.1 503${rest}`), 503, 'UPSTREAM_BUSY');
  t.match(rest, /no file descriptor is free; raise the limit .*ulimit -n/);
  t.match(await program.line((line) => line.includes('file descriptors run out')), /EMFILE/);
});

t.test('a warning comes before the last descriptor, once a minute', async (t) => {
  let now = 0;
  const captured = captureLog();
  // Every descriptor of this process is above nine tenths of that.
  new DescriptorWatch(3, () => now, captured.log).watch(await listening());
  await arrive();
  await arrive();
  t.equal(captured.text().match(/file descriptors run out/g)?.length, 1);
  now += 60_000;
  await arrive();
  t.equal(captured.text().match(/file descriptors run out/g)?.length, 2);

  const quiet = captureLog();
  for (const limit of [null, 1_000_000]) {
    new DescriptorWatch(limit, () => now, quiet.log).watch(server);
  }
  await arrive();
  t.equal(quiet.text(), '');
});
