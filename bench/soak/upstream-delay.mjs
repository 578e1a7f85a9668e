// The upstream of delay.mjs: each event says when it was written.
import { createServer } from 'node:http';

const [events, interval] = process.argv.slice(2).map(Number);
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  let left = events;
  const timer = setInterval(() => {
    response.write(`data: ${process.hrtime.bigint()}\n\n`);
    left--;
    if (left > 0) return;
    clearInterval(timer);
    response.end();
  }, interval);
});
server.listen(0, '127.0.0.1');
process.on('message', () => {
  if (server.listening) process.send(server.address().port);
  else server.once('listening', () => process.send(server.address().port));
});
