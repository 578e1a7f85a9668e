// Clients of sockets.mjs: sends and reads numbered messages, leaves some sockets early.
import { WebSocket } from 'ws';
import { randomOf } from './random.mjs';

/** One WebSocket. @param leaveAt number of the message after which it is cut; null stays */
function converse(url, name, { events, interval }, leaveAt, result) {
  return new Promise((resolve) => {
    const address = `${url.replace('http', 'ws')}/backend-api/codex/responses`;
    const socket = new WebSocket(address, {
      headers: { 'x-stream': name },
      perMessageDeflate: false,
    });
    let expected = 1;
    let sent = 0;
    let left = false;
    let timer = null;
    const wrong = (what) => result.wrong.push(`socket ${name}: ${what}`);
    socket.on('error', (error) => {
      if (!left) wrong(error.message);
    });
    const speak = () => {
      if (left || sent === events || socket.readyState !== socket.OPEN) return;
      socket.send(JSON.stringify({ stream: name, number: ++sent }));
      timer = setTimeout(speak, interval);
    };
    socket.on('message', (data) => {
      if (left) return;
      const { stream, number } = JSON.parse(String(data));
      if (stream !== name || number !== expected) wrong(`${stream}/${number}, not ${expected}`);
      if (expected === 1) speak();
      expected = number + 1;
      result.received++;
      if (number === leaveAt) {
        left = true;
        result.left[name] = clock();
        socket.terminate();
      }
    });
    socket.on('close', (code) => {
      clearTimeout(timer);
      if (left) result.aborted++;
      else if (code === 1000 && expected === events + 1 && sent === events) result.complete++;
      else wrong(`closed with ${code} after ${expected - 1}, ${sent} sent`);
      resolve();
    });
  });
}

function clock() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

process.on('message', async (order) => {
  const random = randomOf(order.seed);
  const result = { complete: 0, aborted: 0, received: 0, wrong: [], left: {} };
  const all = Array.from({ length: order.streams }, (_, i) => {
    const leaveAt = random() < order.aborts ? 1 + Math.floor(random() * (order.events / 2)) : null;
    return converse(order.url, String(i), order, leaveAt, result);
  });
  await Promise.all(all);
  process.send(result);
});
