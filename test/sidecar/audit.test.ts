import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { send } from '../helpers/exchange.ts';
import { leaksIn } from '../helpers/leaks.ts';
import { makeFile, makeFolder, run, serve } from '../helpers/program.ts';

const SECRET = 'a-token-that-must-not-be-written';

function pathsIn(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.includes('"bytesIn"'))
    .map((line) => JSON.parse(line).path);
}

t.test('requests are written down, also after a rotation, and to the last one', async (t) => {
  const folder = await makeFolder(t);
  const file = join(folder, 'audit.log');
  const config = await makeFile(t, 'config.json', { log: { audit: file } });
  const { program, url } = await serve(t, ['--config', config], { CODEX_HOME: folder });
  const headers = { authorization: `Bearer ${SECRET}` };
  const body = SECRET;
  await send(`${url}/backend-api/codex/responses?token=${SECRET}`, { headers, body });
  renameSync(file, `${file}.1`);
  program.kill('SIGUSR2');
  await program.logged('reopened the audit log');
  await send(`${url}/livez`);
  program.kill('SIGTERM');
  t.equal((await program.ended).code, 0);
  const before = readFileSync(`${file}.1`, 'utf8');
  t.match(JSON.parse(before), {
    method: 'POST',
    path: '/backend-api/codex/responses',
    kind: 'assertion',
    status: 400,
    code: 'AUTH_NOT_CONFIGURED',
  });
  const after = readFileSync(file, 'utf8');
  t.strictSame(pathsIn(after), ['/livez']);
  t.strictSame(leaksIn(before + after, SECRET), []);
});

t.test('standard output takes them too, each on a line of its own', async (t) => {
  for (const audit of ['stdout', '-']) {
    const folder = await makeFolder(t);
    const config = await makeFile(t, 'config.json', { log: { audit } });
    const { program, url } = await serve(t, ['--config', config], { CODEX_HOME: folder });
    await send(`${url}/livez`);
    program.kill('SIGUSR2');
    await program.logged('SIGUSR2: no audit file was opened (log.audit)');
    program.kill('SIGTERM');
    t.strictSame(pathsIn((await program.ended).stdout), ['/livez']);
  }
});

t.test('a file that cannot be written is a wrong configuration', async (t) => {
  const folder = await makeFolder(t);
  const config = await makeFile(t, 'config.json', { log: { audit: folder } });
  const outcome = await run(t, ['serve', '--port', '0', '--config', config]);
  t.equal(outcome.code, 2);
  t.equal(
    outcome.stderr,
    `codex-auth-sidecar: wrong configuration: log.audit: cannot write ${folder} (EISDIR)\n`,
  );
});
