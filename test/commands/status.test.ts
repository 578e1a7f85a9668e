import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { runProgram } from '../helpers/recovery-program.ts';
import { infer, startSidecarWithClock, WITH_IDENTITY } from '../helpers/sidecar-with-clock.ts';

const status = (url: string, ...args: string[]) =>
  runProgram(['status', '--url', url, ...args], {});

t.test('a table for people, JSON for programs, and no secret in either', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  const table = await status(scene.url);
  t.equal(table.code, 0, table.stderr);
  for (const row of [
    /^status {10}ready$/m,
    /^credential {6}chatgpt, pro, from auth\.json$/m,
    /^agent identity {2}policy chatgptAuth, ready, agent-rt/m,
    /^bearer {10}valid, expires 2026-11-30T/m,
    /^requests {8}1 assertion, 0 bearer, 0 degraded, 0 denied$/m,
  ]) {
    t.match(table.stdout, row);
  }
  const json = await status(scene.url, '--json');
  t.equal(json.code, 0);
  const document = JSON.parse(json.stdout);
  t.match(document, { status: 'ready', credentialSource: 'auth.json', requests: { degraded: 0 } });
  const { tokens, agent_identity: record } = scene.home.read() as Record<
    string,
    Record<string, string>
  >;
  for (const secret of [
    ...Object.values(tokens ?? {}),
    record?.agent_private_key,
    record?.task_id,
  ]) {
    t.notOk(`${table.stdout}${json.stdout}`.includes(String(secret)));
  }
});

t.test('a sidecar without a credential: exit code 1', async (t) => {
  const scene = await startSidecarWithClock(t, { authJson: () => null });
  await fetch(`${scene.url}/auth/status`);
  const { code, stdout } = await status(scene.url);
  t.equal(code, 1);
  t.match(stdout, /^status {10}(unauthenticated|starting)$/m);
});

t.test('a cooldown says when the next try is', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  scene.emulator.addFault({ path: '/api/accounts/*', status: 403 });
  await infer(scene);
  const { code, stdout } = await status(scene.url);
  t.equal(code, 1);
  t.match(stdout, /^identity error .*\(next try 2026-11-20T21:31:36Z\)$/m);
});

const OTHERS: [name: string, body: string, problem: RegExp][] = [
  ['HTML', '<html>', /did not respond with a status; is it a sidecar\?/],
  ['other JSON', '{"status":"ok"}', /did not respond with a status/],
  ['null', 'null', /did not respond with a status/],
  ['an error', '{"error":{"message":"the client token is missing"}}', /refused: the client token/],
];

for (const [name, body, problem] of OTHERS) {
  t.test(`a server that answers with ${name}`, async (t) => {
    const server = createServer((_request, response) => response.end(body));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await status(url);
    t.equal(code, 1);
    t.match(stderr, problem);
    t.equal(stderr.trim().split('\n').length, 1);
  });
}

const ENDLESS: [name: string, respond: (response: ServerResponse) => void][] = [
  ['in one piece after the other', (response) => void pipeEndless(response)],
  [
    'compressed a thousandfold',
    (response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync(Buffer.alloc(256 * 1024 * 1024, 'a')));
    },
  ],
];
for (const [name, respond] of ENDLESS) {
  t.test(`an own call has a bound in bytes: an endless status, ${name}`, async (t) => {
    const url = await startServer(t, (_request, response) => respond(response));
    const { code, stderr } = await status(url);
    t.equal(code, 1);
    t.match(stderr, /sends more than any status holds; is it a sidecar\?/);
  });
}

t.test('an own call has a bound in time: a status that trickles', async (t) => {
  const url = await startServer(t, (_request, response) => {
    const timer = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(timer));
  });
  const { code, stderr } = await status(url);
  t.equal(code, 1);
  t.match(stderr, /did not respond within 5 seconds/);
});

t.test('a health check of an endless answer ends', async (t) => {
  const url = await startServer(t, (_request, response) => void pipeEndless(response));
  const { port } = new URL(url);
  const { code, stderr } = await runProgram(['healthcheck', '--port', port], {});
  t.equal(code, 1);
  t.match(stderr, /sends more than any status holds/);
});

async function startServer(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function pipeEndless(response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(1024 * 1024, 'a');
  while (!response.destroyed) {
    if (!response.write(chunk))
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
}

t.test('nobody there', async (t) => {
  const { code, stderr } = await status('http://127.0.0.1:1');
  t.equal(code, 1);
  t.match(stderr, /http:\/\/127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)/);
});
