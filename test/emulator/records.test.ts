import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { joinHeaders } from '../../src/emulator/records.ts';
import { call, start } from './client.ts';

t.test('joins repeated headers, those included that Node would drop', async (t) => {
  const raw = ['Cookie', 'a=1', 'Authorization', 'x', 'authorization', 'y', 'COOKIE', 'b=2'];
  t.same(joinHeaders(raw), { cookie: 'a=1, b=2', authorization: 'x, y' });
});

t.test('waits for a record that is there, comes, or changes', async (t) => {
  const emulator = await start(t);
  const coming = emulator.waitFor(({ path }) => path === '/one');
  const answered = emulator.waitFor(({ status, complete }) => status === 404 && complete);
  await call(`${emulator.url}/one`);
  t.equal(await coming, await answered);
  t.equal(await emulator.waitFor(({ seq }) => seq === 1), await coming);
});

t.test('close cuts open requests and ends every wait', async (t) => {
  const emulator = await start(t);
  emulator.addFault({ path: '/stuck', action: 'hang' });
  const never = t.rejects(
    emulator.waitFor(({ path }) => path === '/never'),
    /closed/,
  );
  const stuck = t.rejects(call(`${emulator.url}/stuck`));
  await emulator.waitFor(({ path }) => path === '/stuck');
  await emulator.close();
  await Promise.all([never, stuck]);
  await t.rejects(
    emulator.waitFor(({ path }) => path === '/never'),
    /closed/,
  );
});

t.test('records a request whose path is malformed', async (t) => {
  const emulator = await start(t);
  const { port } = new URL(emulator.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write('GET /%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [answer] = await once(socket, 'data');
  t.match(String(answer), /^HTTP\/1\.1 400/);
  t.match(emulator.records, [{ path: '/%zz' }]);
  socket.destroy();
});

t.test('records the size of a body and a client that leaves while sending it', async (t) => {
  const emulator = await start(t);
  await call(`${emulator.url}/sized`, { body: { a: 1 } });
  t.match(emulator.records, [{ bodyBytes: 7, body: { a: 1 } }]);
  const { port } = new URL(emulator.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write('POST /left HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf');
  await emulator.waitFor(({ path }) => path === '/left');
  socket.destroy();
  const record = await emulator.waitFor(({ path, aborted }) => path === '/left' && aborted);
  t.equal(record.complete, false);
});
