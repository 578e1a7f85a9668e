import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { type EmulatorRecord, startEmulator } from '../../src/emulator/index.ts';
import { bearerHeaders, call, readEvents } from '../emulator/client.ts';
import { installClient, type NpmClient, runWithClient } from './npm-client.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

const RESPONSES = '/backend-api/codex/responses';
const isTurn = ({ path }: EmulatorRecord) => path === RESPONSES;
const TEXT = 'Hello from the emulated backend.';

/** One turn of each SDK, as a backend wants it that takes nothing but what Codex sends. */
const TURNS: Record<'openai' | 'vercel-ai' | 'openai-agents', string> = {
  openai: `
    import OpenAI from 'openai';
    const stream = new OpenAI().responses.stream({
      model: 'gpt-x',
      instructions: 'Be brief.',
      input: [{ role: 'user', content: 'hi' }],
      store: false,
    });
    for await (const { type } of stream) if (type.endsWith('.delta')) console.log(type);
    const { output_text: text, usage } = await stream.finalResponse();
    console.log(text, usage.total_tokens);`,
  'vercel-ai': `
    import { createOpenAI } from '@ai-sdk/openai';
    import { streamText } from 'ai';
    const result = streamText({
      model: createOpenAI().responses('gpt-x'),
      prompt: 'hi',
      providerOptions: { openai: { instructions: 'Be brief.', store: false } },
      onError: ({ error }) => { throw error; },
    });
    for await (const text of result.textStream) console.log('delta', text);
    console.log(await result.text, (await result.usage).totalTokens);`,
  'openai-agents': `
    import { Agent, run, setTracingDisabled } from '@openai/agents';
    setTracingDisabled(true);
    const agent = new Agent({
      name: 'Greeter',
      instructions: 'Be brief.',
      model: 'gpt-x',
      modelSettings: { store: false },
    });
    const result = await run(agent, 'hi', { stream: true });
    for await (const text of result.toTextStream()) console.log('delta', text);
    await result.completed;
    console.log(result.finalOutput, result.runContext.usage.totalTokens);`,
};

async function setUp(t: Test) {
  const stage = await startServeWithEmulator();
  t.teardown(() => stage.close());
  const env = { OPENAI_BASE_URL: `${stage.url}/v1`, OPENAI_API_KEY: stage.clientToken };
  return { ...stage, env };
}

for (const [client, script] of Object.entries(TURNS) as [NpmClient, string][]) {
  t.test(`${client} finishes a streamed turn through the sidecar`, async (t) => {
    const { backend, env } = await setUp(t);
    const { code, stdout, stderr } = await runWithClient(client, script, env);
    t.equal(code, 0, stderr);
    t.match(stdout, /delta/, 'piece by piece');
    const [turn] = backend.records.filter(isTurn);
    const { input = 0, output = 0 } = turn?.usage ?? {};
    t.match(stdout, `${TEXT} ${input + output}`);
    t.match(backend.records.filter(isTurn), [
      { method: 'POST', status: 200, auth: { kind: 'assertion', verified: true } },
    ]);
  });
}

t.test('a compressed stream reaches the SDK', async (t) => {
  const { backend, env } = await setUp(t);
  backend.settings.compression = 'gzip';
  const script = `
    import OpenAI from 'openai';
    const input = [{ role: 'user', content: 'hi' }];
    const body = { model: 'gpt-x', instructions: 'Be brief.', input, store: false, stream: true };
    const { data, response } = await new OpenAI().responses.create(body).withResponse();
    console.log(response.headers.get('content-encoding'));
    for await (const event of data) console.log(event.type);`;
  const { code, stdout, stderr } = await runWithClient('openai', script, env);
  t.equal(code, 0, stderr);
  const [coding, ...types] = stdout.trim().split('\n');
  t.equal(coding, 'gzip');
  t.equal(types.length, 9);
  t.equal(types.at(-1), 'response.completed');
});

t.test('a request without a stream is refused in the words of the backend', async (t) => {
  const { backend, env } = await setUp(t);
  const script = `
    import OpenAI from 'openai';
    const body = { model: 'gpt-x', instructions: 'Be brief.', input: [], store: false };
    for (const stream of [undefined, false])
      await new OpenAI().responses.create({ ...body, stream }).catch(({ message }) => console.log(message));`;
  const { code, stdout, stderr } = await runWithClient('openai', script, env);
  t.equal(code, 0, stderr);
  t.equal(stdout, '400 {"detail":"Stream must be set to true"}\n'.repeat(2));
  const statuses = backend.records.filter(isTurn).map(({ status }) => status);
  t.strictSame(statuses, [400, 400], 'nothing was tried again');
});

t.test('every event and response has the type that the openai package gives it', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const headers = bearerHeaders(emulator.issueLogin());
  const apiKey = { authorization: `Bearer ${emulator.issueApiKey()}` };
  const post = (url: string, body: object, sent = headers) => call(url, { headers: sent, body });
  const turn = { model: 'gpt-x', instructions: '', input: [], store: false, stream: true };
  const events = readEvents((await post(emulator.url + RESPONSES, turn)).text);
  const input = [{ type: 'compaction_trigger' }];
  const compaction = await post(emulator.url + RESPONSES, { ...turn, input });
  const { openaiBaseUrl } = emulator.upstream;
  const whole = await post(`${openaiBaseUrl}/responses`, { model: 'gpt-x', input: 'hi' }, apiKey);
  const compacted = await post(`${emulator.url}${RESPONSES}/compact`, {});
  // The SDK adds output_text.
  const types = `
    import type * as API from 'openai/resources/responses/responses';
    type Whole = Omit<API.Response, 'output_text'>;
    type Sent<Event> = Event extends { response: API.Response }
      ? Omit<Event, 'response'> & { response: Whole }
      : Event;
    export const events: Sent<API.ResponseStreamEvent>[] =
      ${JSON.stringify([...events, ...readEvents(compaction.text)])};
    export const whole: Whole = ${JSON.stringify(whole.body)};
    export const compacted: API.CompactedResponse = ${JSON.stringify(compacted.body)};`;
  t.equal(await typeErrors(t, types), '');
  t.match(
    await typeErrors(t, types.replaceAll('"logprobs":[],', '')),
    /logprobs/,
    'one is missing',
  );
});

/** What the compiler says of a module that imports types of the `openai` package. */
async function typeErrors(t: Test, module: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'openai-types-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(await installClient('openai'), 'node_modules'), join(folder, 'node_modules'));
  const file = join(folder, 'module.mts');
  await writeFile(file, module);
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', ''];
  const command = [process.execPath, resolve('node_modules/typescript/bin/tsc'), ...options, file];
  // From there, so that our own settings do not count.
  const run = promisify(execFile)('env', ['-u', 'NODE_OPTIONS', ...command], { cwd: folder });
  return run.then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}
