import t from 'tap';
import { bearerHeaders, call, RESPONSES, readEvents, start } from './client.ts';

const TURN = { model: 'gpt-x', instructions: 'Be brief.', input: [], store: false, stream: true };
const TEXT = 'Hello from the emulated backend.';

t.test(
  'the ChatGPT backend takes nothing but what Codex sends, and says what it misses',
  async (t) => {
    const emulator = await start(t);
    const headers = bearerHeaders(emulator.issueLogin());
    const post = (body: object) => call(emulator.url + RESPONSES, { headers, body });
    t.equal((await post(TURN)).status, 200);
    t.equal((await post({ ...TURN, instructions: '' })).status, 200);
    t.equal((await post({ ...TURN, instructions: undefined })).status, 200);
    const refused: [change: object, detail: string][] = [
      [{ stream: false }, 'Stream must be set to true'],
      [{ stream: undefined }, 'Stream must be set to true'],
      [{ store: true, stream: false }, 'Store must be set to false'],
      [{ store: undefined }, 'Store must be set to false'],
      [{ input: 'hi', store: true }, 'Input must be a list'],
    ];
    for (const [change, detail] of refused) {
      const { status, body } = await post({ ...TURN, ...change });
      t.equal(status, 400);
      t.strictSame(body, { detail });
    }
  },
);

t.test('the API with keys responds with a stream, or with the whole', async (t) => {
  const emulator = await start(t);
  const headers = { authorization: `Bearer ${emulator.issueApiKey()}` };
  const url = `${emulator.upstream.openaiBaseUrl}/responses`;
  const tools = [{ type: 'function', name: 'f', parameters: null, strict: null }];
  const request = { model: 'gpt-x', input: 'hi', temperature: 0.5, tools };
  const { body: whole, headers: got } = await call(url, { headers, body: request });
  t.match(got, { 'content-type': 'application/json', 'openai-model': 'gpt-x' });
  t.match(whole, {
    object: 'response',
    status: 'completed',
    created_at: Number,
    model: 'gpt-x',
    temperature: 0.5,
    tools,
    output: [{ type: 'message', content: [{ type: 'output_text', text: TEXT }] }],
    usage: { total_tokens: Number },
  });
  const streamed = await call(url, { headers, body: { ...request, stream: true } });
  const events = readEvents(streamed.text);
  t.strictSame(
    events.map(({ sequence_number: number }) => number),
    events.map((_event, index) => index),
  );
  const { response } = events.at(-1) as { response: Record<string, unknown> };
  t.strictSame(Object.keys(response), Object.keys(whole), 'the last event has the same fields');
});
