// The upstream of silence.mjs: says something, is silent, says something more.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const silence = Number(process.argv[2]);
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: before\n\n');
  setTimeout(() => response.end('data: after\n\n'), silence);
});
new WebSocketServer({ server }).on('connection', (socket) => {
  socket.send('before');
  setTimeout(() => socket.send('after'), silence);
  socket.on('message', (data) => socket.send(String(data)));
});
server.listen(0, '127.0.0.1');
process.on('message', () => {
  if (server.listening) process.send(server.address().port);
  else server.once('listening', () => process.send(server.address().port));
});
