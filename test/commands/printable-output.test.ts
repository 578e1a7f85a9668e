import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, run, serve } from '../helpers/program.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.jobs = 2;

/** Clears a screen, hides text, turns its direction and begins a line of its own. */
const FOREIGN = '\u001b]0;owned\u0007\u001b[2J\u009b8m\u202e\r\nstatus          ready';
const NOT_SHOWN = /[\p{Cc}\p{Cf}]/u;

const lines = (text: string) => text.trimEnd().split('\n');

for (const flags of [[], ['--json']]) {
  const name = ['status', ...flags].join(' ');
  t.test(`whatever we print is escaped at one place: ${name}`, async (t) => {
    const { url } = await startSidecarWithEmulator(t);
    const status = JSON.parse(await (await fetch(`${url}/auth/status`)).text());
    const foreign = {
      ...status,
      version: FOREIGN,
      bearer: { ...status.bearer, lastError: FOREIGN },
    };
    const server = await startUpstream(t, (_request, response) =>
      response.end(JSON.stringify(foreign)),
    );
    const { stdout } = await run(t, ['status', '--url', server.origin, ...flags]);
    for (const line of lines(stdout)) t.notMatch(line, NOT_SHOWN);
    t.match(stdout, '\\u001b[2J');
    if (flags.length > 0) t.strictSame(JSON.parse(stdout), foreign, 'still the same document');
  });
}

t.test('whatever we print is escaped at one place: an error', async (t) => {
  const body = JSON.stringify({ error: { message: FOREIGN } });
  const server = await startUpstream(t, (_request, response) => response.end(body));
  const { code, stderr } = await run(t, ['status', '--url', server.origin]);
  t.equal(code, 1);
  t.equal(lines(stderr).length, 1);
  t.notMatch(stderr.trimEnd(), NOT_SHOWN);
});

t.test('whatever we print is escaped at one place: run and doctor', async (t) => {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  writeFileSync(join(codexHome, 'auth.json'), JSON.stringify(backend.issueLogin().authJson));
  const config = await makeFile(t, 'config.json', {
    agentIdentity: { policy: 'chatgptAuth' },
    upstream: { ...backend.upstream, proxy: null },
  });
  backend.addFault({ path: '/api/accounts/*', status: 400, body: FOREIGN });
  const env = { CODEX_HOME: codexHome, XDG_STATE_HOME: await makeFolder(t) };
  for (const args of [
    ['run', '--config', config, '--', 'true'],
    ['doctor', '--config', config],
  ]) {
    const { stdout, stderr } = await run(t, args, env);
    for (const line of lines(stdout + stderr)) t.notMatch(line, NOT_SHOWN);
  }
});

for (const form of ['--pretty', '--no-pretty']) {
  t.test(`whatever we log is escaped at one place: ${form}`, async (t) => {
    const backend = await startBackend(t);
    const codexHome = await makeFolder(t);
    writeFileSync(join(codexHome, 'auth.json'), JSON.stringify(backend.issueLogin().authJson));
    const config = await makeFile(t, 'config.json', {
      codexHome,
      agentIdentity: { policy: 'chatgptAuth' },
      upstream: { ...backend.upstream, proxy: null },
    });
    backend.addFault({ path: '/api/accounts/*', status: 400, body: FOREIGN });
    const info = form === '--pretty' ? [form, '--log-level', 'debug'] : [form];
    if (form === '--no-pretty') {
      const { program } = await serve(t, ['--config', config, ...info]);
      await program.line((line) => line.includes('2J'));
      for (const line of lines(program.stdout)) t.notMatch(line, NOT_SHOWN);
      return;
    }
    const { stderr, stdout } = await run(
      t,
      ['run', '--verbose', '--log-level', 'debug', '--config', config, '--', 'true'],
      { XDG_STATE_HOME: await makeFolder(t), NO_COLOR: '1' },
      { terminal: true },
    );
    const text = (stdout + stderr).replaceAll('\r\n', '\n');
    t.match(text, 'owned');
    for (const line of lines(text)) t.notMatch(line, NOT_SHOWN);
  });
}
