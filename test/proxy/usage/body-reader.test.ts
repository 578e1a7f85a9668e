import * as zlib from 'node:zlib';
import t from 'tap';
import { headerLookup } from '../../../src/proxy/headers.ts';
import { DecodingBudget } from '../../../src/proxy/usage/aside-decoder.ts';
import { bodyReader } from '../../../src/proxy/usage/body-reader.ts';
import { countedTurns, endEvent, LIMITS, USAGE } from './told.ts';

const COUNTED = 'gpt-x 12/3/5/2';
const STREAM = { 'content-type': 'text/event-stream; charset=utf-8' };
const JSON_TYPE = { 'content-type': 'application/json' };

const created = 'data: {"type":"response.created","response":{}}\n\n';
const delta = 'event: response.x.delta\ndata: {"type":"response.x.delta","delta":"word"}\n\n';
const completed = `data: ${JSON.stringify(endEvent(USAGE))}\n\n`;
const whole = created + delta.repeat(50) + completed;

interface Case {
  isTurn?: boolean;
  status?: number;
  headers?: Record<string, string>;
  model?: string;
  defect?: Error;
}

/** What is told of a body, read in pieces. */
async function read(
  body: Buffer | string,
  { isTurn = true, status, headers = STREAM, model, defect }: Case = {},
) {
  const { turns, lines } = countedTurns(model, defect);
  const parsed = headers;
  const head = { status: status ?? 200, statusMessage: '', raw: [], parsed };
  const asked = bodyReader(
    isTurn,
    { ...head, header: headerLookup(parsed) },
    turns,
    () => 0,
    new DecodingBudget(),
  );
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += 100) asked?.push(bytes.subarray(at, at + 100));
  await asked?.finish();
  turns.over();
  return lines;
}

t.test('an event stream, whole and cut', async (t) => {
  t.strictSame(await read(whole), [COUNTED]);
  t.strictSame(await read(whole.slice(0, -200), { model: 'gpt-y' }), ['gpt-y unfinished']);
  t.strictSame(await read(''), []);
});

t.test('an event stream with a coding, whole and cut', async (t) => {
  const codings: Record<string, (text: string) => Buffer> = {
    gzip: zlib.gzipSync,
    'X-GZIP': zlib.gzipSync,
    deflate: zlib.deflateSync,
    br: zlib.brotliCompressSync,
    identity: (text) => Buffer.from(text),
  };
  for (const [name, code] of Object.entries(codings)) {
    const headers = { ...STREAM, 'content-encoding': name };
    t.strictSame(await read(code(whole), { headers }), [COUNTED], name);
    const start = code(whole).subarray(0, name === 'identity' ? 2_000 : -60);
    t.strictSame(await read(start, { headers }), ['unknown unfinished'], `${name}, cut`);
  }
});

t.test('zstd, where Node has it', async (t) => {
  const headers = { ...STREAM, 'content-encoding': 'zstd' };
  const compress = 'zstdCompressSync' in zlib ? zlib.zstdCompressSync : null;
  const body = typeof compress === 'function' ? compress(Buffer.from(whole)) : whole;
  t.strictSame(await read(body, { headers }), [compress ? COUNTED : 'unknown unreadable']);
});

t.test('a coding that is unknown or broken is unreadable', async (t) => {
  for (const name of ['compress', 'gzip, br', 'constructor']) {
    const headers = { ...STREAM, 'content-encoding': name };
    t.strictSame(await read(whole, { headers }), ['unknown unreadable'], name);
  }
  const headers = { ...STREAM, 'content-encoding': 'gzip' };
  t.strictSame(await read(whole, { headers }), ['unknown unreadable'], 'no gzip at all');
  const bomb = zlib.gzipSync(Buffer.alloc(8 * 1024 * 1024, 0x0a));
  t.strictSame(await read(bomb, { headers }), ['unknown unreadable'], 'a bomb');
});

t.test('a defect of whoever is told ends the reading and nothing else', async (t) => {
  const body = `data: ${JSON.stringify(LIMITS)}\n\n${whole}`;
  const defect = new Error('defect');
  t.strictSame(await read(body, { defect }), ['unknown unreadable']);
  const headers = { ...STREAM, 'content-encoding': 'gzip' };
  t.strictSame(await read(zlib.gzipSync(body), { headers, defect }), ['unknown unreadable']);
});

t.test('a response in one document', async (t) => {
  const { response } = endEvent(USAGE);
  const headers = JSON_TYPE;
  t.strictSame(await read(JSON.stringify(response), { headers }), [COUNTED]);
  t.strictSame(await read(JSON.stringify(response).slice(0, -9), { headers }), [
    'unknown unfinished',
  ]);
  const wrong = { ...response, usage: { input_tokens: '1' } };
  t.strictSame(await read(JSON.stringify(wrong), { headers }), ['gpt-x unreadable']);
  const images = { input_tokens: 100, output_tokens: 200 };
  const drawn = { ...response, tool_usage: { image_gen: images, web_search: { num_requests: 1 } } };
  t.strictSame(await read(JSON.stringify(drawn), { headers }), ['gpt-x 112/3/205/2']);
  const odd = { ...response, tool_usage: { image_gen: { total_tokens: 0 } } };
  t.strictSame(await read(JSON.stringify(odd), { headers }), ['gpt-x 12/3/5/2 unreadable']);
  const long = { ...response, tool_usage: { image_gen: images, more: 'x'.repeat(9_000) } };
  t.strictSame(await read(JSON.stringify(long), { headers }), ['gpt-x 12/3/5/2 unreadable']);
  t.strictSame(await read('{"status":"failed","usage":null}', { headers }), ['unknown nothing']);
  const zeros = { image_gen: { input_tokens: 0, output_tokens: 0 } };
  for (const open of [
    '{"output":[]}',
    '{"status":"queued","usage":null}',
    JSON.stringify({ status: 'queued', usage: null, tool_usage: zeros }),
  ]) {
    t.strictSame(await read(open, { headers }), ['unknown unreadable'], 'nobody says what it took');
  }
});

t.test('a response of another type took something, and nobody can tell what', async (t) => {
  for (const headers of [{}, { 'content-type': 'text/html' }, { 'content-type': 'text/json' }]) {
    t.strictSame(await read(whole, { headers }), ['unknown unreadable']);
  }
});

t.test('nothing else is read', async (t) => {
  t.strictSame(await read(whole, { status: 500 }), []);
  t.strictSame(await read(whole, { status: 500, headers: {} }), []);
  t.strictSame(await read(whole, { isTurn: false }), []);
  t.strictSame(await read(whole, { isTurn: false, headers: {} }), []);
});

t.test('a 429 of the quota, and any other', async (t) => {
  const refusal = (error: unknown) => JSON.stringify({ error });
  const cases: [Buffer | string, object, string][] = [
    [refusal({ type: 'usage_limit_reached', resets_in_seconds: 9 }), {}, 'quota'],
    [refusal({ code: 'usage_limit_reached' }), {}, 'quota'],
    [refusal({ type: 'rate_limit_exceeded' }), {}, 'other'],
    ['<html>', {}, 'other'],
    ['', {}, 'other'],
    [
      zlib.gzipSync(refusal({ type: 'usage_limit_reached' })),
      { 'content-encoding': 'gzip' },
      'quota',
    ],
    [refusal({ type: 'usage_limit_reached' }), { 'content-encoding': 'compress' }, 'other'],
    [refusal({ type: 'usage_limit_reached' }), { 'content-encoding': 'gzip' }, 'other'],
  ];
  for (const [body, more, reason] of cases) {
    const headers = { ...JSON_TYPE, ...more };
    t.strictSame(await read(body, { status: 429, headers, isTurn: false }), [`limited ${reason}`]);
  }
});
