import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { call } from '../emulator/client.ts';
import { makeFolder, run, start } from '../helpers/program.ts';

t.test('emulator serves, prints how to reach it, and writes a login once', async (t) => {
  const codexHome = join(await makeFolder(t), 'new/home');
  const program = start(t, ['emulator', '--codex-home', codexHome]);
  const path = join(codexHome, 'auth.json');
  await program.line((line) => line === `a throw-away login is in ${path}`);
  const [, url = '', json = ''] =
    /^emulated backend on (\S+)\n(\{.*^\})$/ms.exec(program.stdout) ?? [];
  t.strictSame(JSON.parse(json), {
    upstream: {
      chatgptBaseUrl: `${url}/backend-api`,
      openaiBaseUrl: `${url}/v1`,
      authApiBaseUrl: `${url}/api/accounts`,
      oauthIssuer: url,
      oauthTokenUrl: `${url}/oauth/token`,
      oauthRevokeUrl: `${url}/oauth/revoke`,
    },
  });
  t.equal((await stat(path)).mode & 0o777, 0o600);
  const text = await readFile(path, 'utf8');
  const { tokens } = JSON.parse(text);
  const models = await call(`${url}/backend-api/codex/models`, {
    headers: {
      authorization: `Bearer ${tokens.access_token}`,
      'chatgpt-account-id': tokens.account_id,
    },
  });
  t.equal(models.status, 200, 'the login is good there');

  t.match(await run(t, ['emulator', '--port', new URL(url).port]), {
    code: 1,
    stdout: '',
    stderr: /^codex-auth-sidecar: [^\n]*EADDRINUSE[^\n]*\n$/,
  });
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });

  const again = start(t, ['emulator', '--codex-home', codexHome]);
  await again.line((line) => line === `a throw-away login is in ${path}`);
  t.not(await readFile(path, 'utf8'), text, 'a new login in its own folder');
  t.equal((await stat(path)).mode & 0o777, 0o600);
});

t.test('emulator overwrites no login of anybody else', async (t) => {
  const codexHome = await makeFolder(t);
  const path = join(codexHome, 'auth.json');
  const tokens = { account_id: 'account-1-0123456789abcdef01', refresh_token: 'rt_real' };
  for (const content of [{ tokens }, { OPENAI_API_KEY: 'sk-real' }, []]) {
    const text = JSON.stringify(content);
    await writeFile(path, text);
    t.strictSame(await run(t, ['emulator', '--codex-home', codexHome]), {
      code: 1,
      signal: null,
      stdout: '',
      stderr: `codex-auth-sidecar: ${path} holds a login that is not of an emulator, and was not overwritten; choose another folder\n`,
    });
    t.equal(await readFile(path, 'utf8'), text);
  }
});

t.test('demo shows what the backend verified, and leaves nothing behind', async (t) => {
  const folder = join(await makeFolder(t), 'tmp');
  await mkdir(folder);
  const { code, stdout, stderr } = await run(t, ['demo'], { TMPDIR: folder });
  t.equal(code, 0);
  t.equal(stderr, '');
  const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
  const responses = '/backend-api/codex/responses';
  for (const row of [
    ['POST', responses, 'assertion', 'verified', '200'],
    ['POST', `${responses}/compact`, 'assertion', 'verified', '200'],
    ['GET', '/backend-api/codex/models', 'bearer', 'verified', '200'],
    ['WS', responses, 'assertion', 'verified', '101'],
  ]) {
    t.ok(
      rows.some((found) => found.join() === row.join()),
      row.join(' '),
    );
  }
  t.notMatch(stdout, /NOT VERIFIED|FAIL/);
  t.ok(stdout.includes('ok    bearer token verified'));
  t.strictSame(await readdir(folder), []);
});
