// One real silence, on a stream of server-sent events and on a WebSocket at once.
//   node bench/soak/silence.mjs [--seconds 360]
import { once } from 'node:events';
import { request } from 'node:http';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { start, startSidecar } from './stage.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '360' } } });
const milliseconds = Number(values.seconds) * 1000;

const upstream = start('upstream-silence.mjs', [String(milliseconds)]);
const port = await upstream.ask('port');
const sidecar = await startSidecar(port);

async function overEvents() {
  const call = request(`${sidecar.url}/backend-api/codex/responses`, { method: 'POST' });
  call.end('{}');
  const [response] = await once(call, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text === 'data: before\n\ndata: after\n\n';
}

async function overSocket() {
  const address = `${sidecar.url.replace('http', 'ws')}/backend-api/codex/responses`;
  const socket = new WebSocket(address);
  const [first] = await once(socket, 'message');
  const [second] = await once(socket, 'message');
  socket.send('of the client');
  const [echo] = await once(socket, 'message');
  socket.close(1000);
  const [code] = await once(socket, 'close');
  return `${first},${second},${echo},${code}` === 'before,after,of the client,1000';
}

const attempt = (act) => act().catch((error) => String(error));
const began = performance.now();
const [events, socket] = await Promise.all([attempt(overEvents), attempt(overSocket)]);
const seconds = (performance.now() - began) / 1000;
await sidecar.stop();
await upstream.stop();
const passed = events === true && socket === true && seconds * 1000 >= milliseconds;
process.stdout.write(
  `silence of ${values.seconds} s: events ${events}, WebSocket ${socket}, took ${seconds.toFixed(1)} s\n` +
    `${passed ? 'PASS' : 'FAIL'}\n`,
);
process.exitCode = passed ? 0 : 1;
