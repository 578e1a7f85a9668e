// The upstream of streams.mjs and sockets.mjs. It numbers what it sends, checks the numbers of what
// it gets, and begins to send once `streams` clients are there, so that all are open at once.
//   node upstream-load.mjs STREAMS EVENTS INTERVAL_MS
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const [streams, events, interval] = process.argv.slice(2).map(Number);
const PADDING = 'x'.repeat(100);

const waiting = [];
let counts = fresh();

function fresh() {
  return { opened: 0, finished: 0, cut: 0, received: 0, wrong: [], abortsSeenAt: {} };
}

function begin(act) {
  waiting.push(act);
  if (waiting.length < streams) return;
  for (const ready of waiting.splice(0)) ready();
}

/** Calls `send` with 1, 2, 3, … at the interval, no faster than it says it is ready. */
function pace(send, done) {
  let next = 1;
  const tick = async () => {
    if (!(await send(next++))) return;
    if (next > events) done();
    else setTimeout(tick, interval);
  };
  // Not all in the same millisecond.
  setTimeout(tick, Math.random() * interval);
}

const server = createServer((request, response) => {
  request.resume();
  const name = request.headers['x-stream'];
  counts.opened++;
  response.on('close', () => {
    if (response.writableFinished) counts.finished++;
    else {
      counts.cut++;
      counts.abortsSeenAt[name] = clock();
    }
  });
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  const send = (number) =>
    new Promise((resolve) => {
      if (response.destroyed) return resolve(false);
      const data = JSON.stringify({ stream: name, number, padding: PADDING });
      if (response.write(`id: ${number}\ndata: ${data}\n\n`)) return resolve(true);
      response.once('drain', () => resolve(true)).once('close', () => resolve(false));
    });
  begin(() => pace(send, () => response.end()));
});

const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket, request) => {
  const name = request.headers['x-stream'];
  let expected = 1;
  counts.opened++;
  socket.on('message', (data) => {
    const { stream, number } = JSON.parse(String(data));
    if (stream !== name || number !== expected)
      counts.wrong.push({ name, expected, stream, number });
    expected = number + 1;
    counts.received++;
    if (expected > events) finish();
  });
  socket.on('error', () => undefined);
  socket.on('close', (code) => {
    if (code === 1000) counts.finished++;
    else {
      counts.cut++;
      counts.abortsSeenAt[name] = clock();
    }
  });
  let sent = false;
  const finish = () => {
    if (sent && expected > events) socket.close(1000);
  };
  const send = (number) =>
    new Promise((resolve) => {
      if (socket.readyState !== socket.OPEN) return resolve(false);
      const message = JSON.stringify({ stream: name, number, padding: PADDING });
      socket.send(message, (error) => resolve(!error));
    });
  begin(() =>
    pace(send, () => {
      sent = true;
      finish();
    }),
  );
});

/** Milliseconds of the machine's monotonic clock, which all processes share. */
function clock() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

server.listen(0, '127.0.0.1');
process.on('message', (question) => {
  if (question === 'port') {
    if (server.listening) process.send(server.address().port);
    else server.once('listening', () => process.send(server.address().port));
    return;
  }
  process.send(counts);
  counts = fresh();
});
