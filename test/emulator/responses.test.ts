import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  bearerHeaders,
  call,
  dial,
  RESPONSES,
  readEvents,
  registerAgent,
  start,
  turn,
} from './client.ts';

const TYPES_OF_A_TURN = [
  'response.created',
  'response.in_progress',
  'response.output_item.added',
  'response.content_part.added',
  'response.output_text.delta',
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
  'response.completed',
];
/** What the backend asks of every client. */
const TURN = { model: 'gpt-x', instructions: 'Be brief.', input: [], store: false, stream: true };
const COMPACTION = { input: [{ type: 'message' }, { type: 'compaction_trigger' }] };

const types = (events: Record<string, unknown>[]) => events.map(({ type }) => type);

function items(events: Record<string, unknown>[]) {
  return events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
}

async function infer(emulator: Emulator, body: unknown, headers: Record<string, string>) {
  return call(emulator.url + RESPONSES, { body, headers });
}

t.test('a turn over SSE under an assertion', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  const reply = await infer(emulator, TURN, agent.headers());
  t.equal(reply.status, 200);
  t.equal(reply.headers['content-type'], 'text/event-stream');
  t.equal(reply.headers['openai-model'], 'gpt-x');
  t.match(reply.headers, { 'x-codex-turn-state': /^turn-/, 'x-request-id': /^req-/ });
  const events = readEvents(reply.text);
  t.same(types(events), TYPES_OF_A_TURN);
  const { usage } = (events.at(-1) as { response: { usage: Record<string, number> } }).response;
  t.equal(usage.total_tokens, Number(usage.input_tokens) + Number(usage.output_tokens));

  const record = await emulator.waitFor(({ path, complete }) => path === RESPONSES && complete);
  t.match(record, {
    transport: 'http',
    method: 'POST',
    status: 200,
    aborted: false,
    body: { model: 'gpt-x' },
    auth: { kind: 'assertion', verified: true, taskId: agent.taskId },
    usage: { input: usage.input_tokens, output: usage.output_tokens },
  });
});

t.test('the state of a turn stays the same within the turn', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const first = await infer(emulator, {}, headers);
  const turnState = String(first.headers['x-codex-turn-state']);
  const again = await infer(emulator, {}, { ...headers, 'x-codex-turn-state': turnState });
  t.equal(again.headers['x-codex-turn-state'], turnState);
});

t.test('a compressed body is a turn like any other', async (t) => {
  const emulator = await start(t);
  const headers = { ...bearerHeaders(emulator.issueLogin()), 'content-encoding': 'zstd' };
  const reply = await infer(emulator, { input: [] }, headers);
  t.same(types(readEvents(reply.text)), TYPES_OF_A_TURN);
  t.match(emulator.records.at(-1), { body: null, bodyBytes: 12 });
});

t.test('compaction, version 2: exactly one compaction item', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const overHttp = readEvents((await infer(emulator, COMPACTION, headers)).text);
  t.match(items(overHttp), [{ type: 'compaction', encrypted_content: String }]);
  t.equal(items(overHttp).length, 1);
  const socket = await dial(emulator, headers);
  const overWebSocket = await turn(socket, { type: 'response.create', ...COMPACTION });
  t.match(items(overWebSocket), [{ type: 'compaction', encrypted_content: String }]);
});

t.test('compaction, version 1', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const reply = await call(`${emulator.url + RESPONSES}/compact`, { body: {}, headers });
  t.match(reply.body, { output: [{ type: 'compaction', encrypted_content: String }] });
});

t.test('a WebSocket serves a warm-up and many turns', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  const socket = await dial(emulator, agent.headers());
  t.match(socket.extensions, /permessage-deflate/);
  const create = { type: 'response.create', input: [] };
  const warmUp = await turn(socket, { ...create, generate: false });
  t.same(types(warmUp), ['response.created', 'response.in_progress', 'response.completed']);
  for (let count = 1; count <= 3; count++) {
    t.same(types(await turn(socket, create)), TYPES_OF_A_TURN);
  }
  t.match(await turn(socket, { type: 'something.else' }), [{ type: 'error', status: 400 }]);

  socket.close();
  const record = await emulator.waitFor(({ transport, complete }) => {
    return transport === 'websocket' && complete;
  });
  t.match(record, { status: 101, aborted: false, auth: { kind: 'assertion', verified: true } });
  t.equal(record.frames.length, 5);
});

t.test('a WebSocket whose client vanishes counts as aborted', async (t) => {
  const emulator = await start(t);
  const socket = await dial(emulator, bearerHeaders(emulator.issueLogin()));
  socket.terminate();
  t.match(await emulator.waitFor(({ aborted }) => aborted), { complete: false });
});

t.test('refuses upgrades as it refuses requests', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  await t.rejects(dial(emulator, {}), { message: 'status 401' });
  emulator.revokeTask(agent.taskId);
  await t.rejects(dial(emulator, agent.headers()), { message: 'status 401' });
  emulator.deleteAgent(agent.agentRuntimeId);
  await t.rejects(dial(emulator, agent.headers()), { message: 'status 403' });
  const plain = await call(emulator.url + RESPONSES, {
    headers: bearerHeaders(emulator.issueLogin()),
  });
  t.equal(plain.status, 426, 'a GET without upgrade');
});

t.test('says why a task or an agent is refused', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  for (const how of ['expired', 'not_found'] as const) {
    emulator.revokeTask(agent.taskId, how);
    const reply = await infer(emulator, {}, agent.headers());
    t.equal(reply.status, 401);
    t.equal(reply.headers['x-openai-authorization-error'], `task_${how}`);
    t.match(reply.body, { error: { code: `task_${how}` } });
  }
  emulator.deleteAgent(agent.agentRuntimeId);
  const deleted = await infer(emulator, {}, agent.headers());
  t.equal(deleted.status, 403);
  t.match(deleted.body, {
    error: {
      message: 'Agent runtime has been deleted.',
      code: 'biscuit_baker_service_agent_error_status',
    },
  });
  const nobody = await infer(emulator, {}, {});
  t.equal(nobody.status, 401);
  t.same(nobody.body, { detail: 'Unauthorized' });
});

t.test('API keys work under /v1 only', async (t) => {
  const emulator = await start(t);
  const headers = { authorization: `Bearer ${emulator.issueApiKey()}` };
  const { openaiBaseUrl } = emulator.upstream;
  const reply = await call(`${openaiBaseUrl}/responses`, { body: {}, headers });
  t.same(types(readEvents(reply.text)), TYPES_OF_A_TURN);
  t.equal((await call(`${openaiBaseUrl}/models`, { headers })).status, 200);
  t.equal((await infer(emulator, {}, headers)).status, 401);
});

t.test('side requests need a bearer token', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  const { chatgptBaseUrl } = emulator.upstream;
  const paths = ['/codex/models', '/wham/usage', '/wham/accounts/check', '/files/upload?x=1'];
  for (const path of paths) {
    const url = chatgptBaseUrl + path;
    t.equal((await call(url, { headers: bearerHeaders(agent.login) })).status, 200, path);
    t.equal((await call(url, { headers: agent.headers() })).status, 401, `${path}, assertion`);
    t.equal((await call(url)).status, 401, `${path}, nothing`);
  }
  t.equal((await call(`${emulator.url}/elsewhere`)).status, 404);
});
