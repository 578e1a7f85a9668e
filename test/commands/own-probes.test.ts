import t from 'tap';
import { makeFile, run, serve } from '../helpers/program.ts';

t.jobs = 2;

/** Nobody listens there. */
const PROXY = 'http://127.0.0.1:9';
// Node.js obeys the first one from 22.21 and 24.5 on; older versions get what these would do to them.
const VARIABLES = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY };
const GLOBAL_AGENTS = `data:text/javascript,${encodeURIComponent(`
  import http from 'node:http';
  import { connect } from 'node:net';
  http.globalAgent = new http.Agent();
  http.globalAgent.createConnection = () => connect(9, '127.0.0.1');
  const dead = { dispatch() { throw new Error('through the global dispatcher'); } };
  globalThis[Symbol.for('undici.globalDispatcher.1')] = dead;
`)}`;
const OPTIONS = { nodeFlags: ['--import', GLOBAL_AGENTS] };

async function startReady(t: Parameters<typeof serve>[0]) {
  const { program, url } = await serve(t, [], { CODEX_API_KEY: 'sk-test' });
  await program.logged('credential loaded');
  return url;
}

for (const args of [['healthcheck'], ['status'], ['status', '--json']]) {
  t.test(`own probes are direct, whatever proxies are set: ${args.join(' ')}`, async (t) => {
    const { port } = new URL(await startReady(t));
    const { code, stderr } = await run(t, [...args, '--port', port], VARIABLES, OPTIONS);
    t.equal(code, 0, stderr);
  });
}

t.test('own probes are direct, whatever proxies are set: status --url', async (t) => {
  const args = ['status', '--url', await startReady(t)];
  const { code, stderr } = await run(t, args, VARIABLES, OPTIONS);
  t.equal(code, 0, stderr);
});

t.test('own probes are direct, whatever proxies are set: doctor', async (t) => {
  const { port } = new URL(await startReady(t));
  const upstream = { openaiBaseUrl: `${PROXY}/v1`, proxy: null };
  const config = await makeFile(t, 'config.json', { upstream });
  const args = ['doctor', '--json', '--config', config, '--port', port];
  const { stdout } = await run(t, args, { CODEX_API_KEY: 'sk-test', ...VARIABLES }, OPTIONS);
  const listener = JSON.parse(stdout).find(
    (finding: { check: string }) => finding.check === 'listener',
  );
  t.match(listener, { outcome: 'ok' });
});

t.test('own probes are direct, whatever proxies are set: demo', async (t) => {
  const { code, stderr } = await run(t, ['demo'], VARIABLES, OPTIONS);
  t.equal(code, 0, stderr);
});
