import t from 'tap';
import type { StatusDocument } from '../../src/admin/status.ts';
import { painter, wantsColour } from '../../src/commands/colour.ts';
import { statusColour, statusTable } from '../../src/commands/status/table.ts';
import { watchStatus } from '../../src/commands/status/watch.ts';
import { run, start } from '../helpers/program.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.jobs = 2;

const RULES: [isTerminal: boolean, env: Record<string, string>, expected: boolean][] = [
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '' }, true],
  [true, { TERM: 'dumb' }, false],
  [false, { FORCE_COLOR: '1' }, true],
  [false, { FORCE_COLOR: '' }, true],
  [true, { FORCE_COLOR: '0' }, false],
  [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
];

for (const [isTerminal, env, expected] of RULES) {
  const where = isTerminal ? 'a terminal' : 'a pipe';
  t.test(`colours in ${where} with ${JSON.stringify(env)}: ${expected}`, async (t) => {
    t.equal(wantsColour(isTerminal, env), expected);
  });
}

t.test('each status has its colour, and errors stand out', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const status = (await (await fetch(`${url}/auth/status`)).json()) as StatusDocument;
  const colours: Record<StatusDocument['status'], string> = {
    ready: 'green',
    degraded: 'yellow',
    starting: 'yellow',
    draining: 'yellow',
    failed: 'red',
    unauthenticated: 'red',
  };
  for (const [name, colour] of Object.entries(colours)) {
    t.equal(statusColour(name as StatusDocument['status']), colour);
  }
  const bearer = { ...status.bearer, lastError: 'why' };
  const rows = statusTable({ ...status, status: 'degraded', bearer }, painter(true));
  t.ok(rows.includes('\u001b[2mstatus         \u001b[22m \u001b[33mdegraded\u001b[39m'));
  t.ok(rows.includes('\u001b[2mbearer error   \u001b[22m \u001b[31mwhy\u001b[39m'));
});

const ESCAPE = '\u001b[';

t.test('status: colours on a terminal only', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const args = ['status', '--url', url];
  t.ok((await run(t, args, {}, { terminal: true })).stdout.includes(ESCAPE));
  t.notOk((await run(t, args, { NO_COLOR: '1' }, { terminal: true })).stdout.includes(ESCAPE));
  t.notOk((await run(t, args)).stdout.includes(ESCAPE));
  t.ok((await run(t, args, { FORCE_COLOR: '1' })).stdout.includes(ESCAPE));
});

t.test('--watch appends a line each time, and an interrupt ends it with 0', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const program = start(t, ['status', '--url', url, '--watch', '0.1']);
  await program.line((line) => /^\S+Z ready, \d+ http, 0 websocket, 0 assertion, /.test(line));
  const lines = () => program.stdout.split('\n').length - 1;
  const first = lines();
  while (lines() <= first) await program.output();
  program.kill('SIGINT');
  t.match(await program.ended, { code: 0, signal: null, stderr: '' });
  t.notMatch(program.stdout, ESCAPE);
});

t.test('--watch --json appends documents', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const program = start(t, ['status', '--url', url, '--watch', '0.1', '--json']);
  t.match(JSON.parse(await program.line((line) => line.includes('"ready"'))), { status: 'ready' });
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0 });
});

t.test('--watch goes on when nobody answers', async (t) => {
  let answer = '<html>';
  const { url } = await startSidecarWithEmulator(t);
  const status = await (await fetch(`${url}/auth/status`)).text();
  const server = await startUpstream(t, (_request, response) => response.end(answer));
  const program = start(t, ['status', '--url', server.origin, '--watch', '0.1']);
  await program.line((line) => line.includes('did not respond with a status'));
  answer = status.replace('"starting"', '"ready"');
  await program.line((line) => line.includes('Z ready, '));
  program.kill('SIGINT');
  t.match(await program.ended, { code: 0 });
});

t.test('--watch draws the table in place on a terminal', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const program = start(t, ['status', '--url', url, '--watch', '0.1'], {}, { terminal: true });
  const draws = () => program.stdout.split('Ctrl-C to stop').length - 1;
  while (draws() < 3) await program.output();
  program.type('\u0003');
  t.match(await program.ended, { code: 0 });
  const rows = screenOf(program.stdout);
  for (const name of ['status', 'version', 'upstream']) {
    t.equal(
      rows.filter((row) => row.startsWith(`${name} `)).length,
      1,
      `${name} stands there once`,
    );
  }
  t.notOk(program.stdout.includes(`${ESCAPE}2J`), 'what stood above stays');
});

t.test('--watch cuts what is too long or too wide for the terminal', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const abort = new AbortController();
  let text = 'what stood above\n';
  let frames = 0;
  await watchStatus({
    target: { url },
    intervalMs: 1,
    form: 'table',
    paint: painter(false),
    rows: () => 5,
    write: (frame) => {
      text += frame;
      if (++frames === 3) abort.abort();
    },
    signal: abort.signal,
  });
  const rows = screenOf(text);
  t.equal(rows[0], 'what stood above');
  t.match(rows[1], /^status /);
  t.equal(rows.length, 5);
  const wrap = text
    .split(`${ESCAPE}?7`)
    .slice(1)
    .map((rest) => rest[0]);
  t.strictSame(wrap, ['l', 'h', 'l', 'h', 'l', 'h'], 'wrapping is off while it draws');
});

/** The rows that a terminal shows of this text; it knows what the program writes. */
function screenOf(text: string): string[] {
  const rows: string[] = [];
  let [row, column] = [0, 0];
  const before = () => (rows[row] ?? '').slice(0, column).padEnd(column);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are the subject.
  for (const [sign, count, code] of text.matchAll(/\u001b\[\??([\d;]*)([A-Za-z])|[\s\S]/g)) {
    if (code === 'A') row = Math.max(0, row - Number(count));
    else if (code === 'K') rows[row] = before();
    else if (code === 'J') rows.splice(row, rows.length, before());
    else if (sign === '\n') [row, column] = [row + 1, 0];
    else if (sign === '\r') column = 0;
    else if (code === undefined) {
      rows[row] = before() + sign + (rows[row] ?? '').slice(column + 1);
      column++;
    }
  }
  return rows.filter(Boolean);
}

t.test('--watch with a wrong number', async (t) => {
  const { code, stderr } = await run(t, ['status', '--watch', '0']);
  t.equal(code, 2);
  t.match(stderr, /a number of seconds from 0\.1 to 86400/);
});
