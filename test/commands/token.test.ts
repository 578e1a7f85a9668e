import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import t, { type Test } from 'tap';
import { type ClientToken, parseClientTokens } from '../../src/clients/client-tokens.ts';
import { NO_LIMITS } from '../../src/clients/limits.ts';
import { addTokenCommand } from '../../src/commands/token/command.ts';
import { addToken, listTokens, removeToken } from '../../src/commands/token/tokens-file-editor.ts';
import { makeFile, makeFolder, run } from '../helpers/program.ts';

const sha256 = (token: string) => createHash('sha256').update(token).digest('hex');
const read = (path: string) => readFile(path, 'utf8');
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const noWarning = (line: string) => {
  throw new Error(line);
};
const edit = (path: string) => ({ path, warn: noWarning });
const named = (name: string, limits: Partial<ClientToken> = {}): ClientToken => ({
  name,
  expiresAt: null,
  purpose: null,
  routes: null,
  limits: null,
  ...limits,
});

t.test('add prints the token, once and alone, and the file knows its digest alone', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const { code, stdout, stderr } = await run(t, ['token', 'add', 'ci', '--file', path]);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^sidecar_[A-Za-z0-9_-]{43}\n$/);
  t.equal(await read(path), `ci:${sha256(stdout.trim())} for=inference\n`, 'inference alone');
  t.equal(await modeOf(path), 0o600);
});

t.test('add writes what a sidecar reads, limits included', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const limits = { expiresAt: Date.parse('2027-01-31T00:00:00Z'), routes: ['/a', '/b/*'] };
  const [free, held] = [named('free'), named('held', limits)];
  const values = [await addToken(edit(path), free), await addToken(edit(path), held)];
  const tokens = parseClientTokens(await read(path));
  t.strictSame(tokens.list, [free, held]);
  t.strictSame(
    values.map((value) => tokens.find(value)?.name),
    ['free', 'held'],
  );
});

t.test('add writes what the client is for, or the paths, or that it may reach all', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const add = (name: string, ...flags: string[]) =>
    run(t, ['token', 'add', name, '--file', path, ...flags]);
  t.equal((await add('a', '--for', 'codex')).code, 0);
  t.equal((await add('b', '--routes', '/backend-api/codex/*')).code, 0);
  t.equal((await add('c', '--all-routes')).code, 0);
  const limits = (await read(path))
    .replaceAll(/:[0-9a-f]{64}/g, '')
    .trimEnd()
    .split('\n');
  t.strictSame(limits, ['a for=codex', 'b routes=/backend-api/codex/*', 'c']);
  t.match((await add('d', '--for', 'everything')).stderr, /Allowed choices are inference, codex/);
  t.equal((await add('d', '--for', 'codex', '--all-routes')).code, 2);
  t.equal((await add('d', '--routes', '/a', '--all-routes')).code, 2);
  t.equal(parseClientTokens(await read(path)).size, 3, 'nothing was added');
});

t.test('add leaves what is there as it is, also a last line without an end', async (t) => {
  const line = `# mine\nold:${sha256('old')} routes=/*`;
  const path = await makeFile(t, 'tokens', line);
  await addToken(edit(path), named('new'));
  t.match(await read(path), new RegExp(`^${line.replaceAll('*', '\\*')}\nnew:[0-9a-f]{64}\n$`));
});

t.test('a name that is taken is refused, and so is a file that cannot be read', async (t) => {
  const taken = `ci:${sha256('one')}\n`;
  const path = await makeFile(t, 'tokens', taken);
  const message = `${path} already has a token named ci; remove it first`;
  await t.rejects(addToken(edit(path), named('ci')), new Error(message));
  t.equal(await read(path), taken);
  const broken = await makeFile(t, 'tokens', `${taken}hush\n`);
  const problem = { message: 'clients.tokensFile line 2 is not name:sha256' };
  await t.rejects(addToken(edit(broken), named('x')), problem);
  await t.rejects(listTokens(broken, 0), problem);
  await t.rejects(removeToken(edit(broken), 'ci'), { name: 'ConfigError' });
  t.equal(await read(broken), `${taken}hush\n`);
});

t.test('many at once lose no line', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  await addToken(edit(path), named('gone'));
  const names = Array.from({ length: 12 }, (_, index) => `n${index}`);
  await Promise.all([
    ...names.map((name) => addToken(edit(path), named(name))),
    removeToken(edit(path), 'gone'),
  ]);
  const { list } = parseClientTokens(await read(path));
  t.strictSame(list.map(({ name }) => name).sort(), names.sort());
});

t.test('of two with one name at once one is refused', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const both = [0, 1].map(() => addToken(edit(path), named('ci')));
  const outcomes = (await Promise.allSettled(both)).map(({ status }) => status);
  t.strictSame(outcomes.sort(), ['fulfilled', 'rejected']);
  t.equal(parseClientTokens(await read(path)).size, 1);
});

t.test('remove takes one out; other lines, mode and link stay', async (t) => {
  const folder = await makeFolder(t);
  const [path, link] = [join(folder, 'tokens'), join(folder, 'link')];
  const lines = ['# mine', `ci:${sha256('1')}`, '', ` ci2:${sha256('2')} routes=/*`, ''];
  await writeFile(path, lines.join('\n'), { mode: 0o640 });
  await symlink('tokens', link);
  await removeToken(edit(link), 'ci');
  t.equal(await read(path), lines.filter((line) => !line.startsWith('ci:')).join('\n'));
  t.equal(await modeOf(path), 0o640);
  t.strictSame((await readdir(folder)).sort(), ['link', 'link.lock', 'tokens']);
  const message = `${link} has no token named ci`;
  await t.rejects(removeToken(edit(link), 'ci'), new Error(message));
});

t.test('list shows names and limits, and nothing of a digest', async (t) => {
  const [one, two, three] = [sha256('1'), sha256('2'), sha256('3')];
  const limits = 'expires=2026-01-01T00:00:00Z routes=/a,/b/*';
  const text = `a:${one}\nlonger:${two} ${limits}\nb:${three} expires=2026-03-01T00:00:00Z\n`;
  const path = await makeFile(t, 'tokens', text);
  t.strictSame(await listTokens(path, Date.parse('2026-02-01T00:00:00Z')), [
    'a       never expires                 all routes',
    'longer  expired 2026-01-01T00:00:00Z  /a,/b/*',
    'b       expires 2026-03-01T00:00:00Z  all routes',
  ]);
  t.strictSame(await listTokens(await makeFile(t, 'tokens', '# none\n'), 0), []);
});

t.test('a file that is not there, or cannot be written', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'absent');
  const message = `cannot read the tokens file ${path} (ENOENT)`;
  await t.rejects(listTokens(path, 0), { name: 'ConfigError', message });
  await t.rejects(removeToken(edit(path), 'ci'), { name: 'ConfigError', message });
  const deeper = join(folder, 'absent', 'tokens');
  const warnings: string[] = [];
  const file = { path: deeper, warn: (line: string) => void warnings.push(line) };
  const refusal = new Error(`cannot write the tokens file ${deeper} (ENOENT)`);
  await t.rejects(addToken(file, named('ci')), refusal);
});

t.test('where there can be no lock it is changed all the same, and that is said', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  await mkdir(`${path}.lock`);
  const warnings: string[] = [];
  await addToken({ path, warn: (line) => void warnings.push(line) }, named('ci'));
  t.equal(parseClientTokens(await read(path)).size, 1);
  t.strictSame(warnings, [`cannot open ${path}.lock (EISDIR); ${path} is changed without a lock`]);
});

/** The command line in this process. @returns what it printed */
async function command(args: string[]): Promise<string[]> {
  const printed: string[] = [];
  const program = new Command().exitOverride().configureOutput({ outputError: () => undefined });
  addTokenCommand(program, {
    env: process.env,
    print: (line) => void printed.push(line),
    warn: () => undefined,
    readInput: async () => '',
    terminal: null,
    ask: null,
    fail: () => undefined,
  });
  await program.parseAsync(['token', ...args], { from: 'user' });
  return printed;
}

async function refuses(t: Test, args: string[], message: RegExp): Promise<void> {
  await t.rejects(command(args), { message }, args.join(' '));
}

t.test('options become limits', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const at = '2099-01-31T00:00:00Z';
  await command(['add', 'a', '--file', path, '--expires', at, '--routes', '/x,/y/*']);
  for (const [name, duration] of Object.entries({ m: '90m', h: '12h', d: '30d' })) {
    await command(['add', name, '--file', path, '--expires', duration]);
  }
  const [first, ...rest] = parseClientTokens(await read(path)).list;
  t.strictSame(first, named('a', { expiresAt: Date.parse(at), routes: ['/x', '/y/*'] }));
  const minutes = rest.map(({ expiresAt }) => Math.round(((expiresAt ?? 0) - Date.now()) / 60_000));
  t.ok(minutes.every((left, index) => Math.abs(left - ([90, 720, 43_200][index] ?? 0)) <= 2));
  await command(['remove', 'a', '--file', path]);
  t.equal((await command(['list', '--file', path])).length, 3);
});

t.test('the configured file is the default', async (t) => {
  const tokensFile = await makeFile(t, 'tokens', `ci:${sha256('1')}\n`);
  const config = await makeFile(t, 'config.json', { clients: { tokensFile } });
  t.match(await command(['list', '--config', config]), [/^ci /]);
  const none = await makeFile(t, 'config.json', {});
  const message = /^no tokens file is configured: set clients\.tokensFile, or pass --file$/;
  await refuses(t, ['list', '--config', none], message);
});

t.test('what is no name, no time or no path is refused before anything is written', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  const add = (...more: string[]) => ['add', '--file', path, ...more];
  for (const name of ['a b', '', 'a:b', '#a', 'x'.repeat(65)]) {
    await refuses(t, add(name), /it must be 1 to 64 characters of A-Z a-z 0-9/);
  }
  for (const when of ['soon', '30', '0d', '2027-01-31', '2027-02-30T00:00:00Z', '']) {
    await refuses(
      t,
      add('ci', '--expires', when),
      /it must be a duration or time such as 90m, 12h, 30d or 2027-/,
    );
  }
  await refuses(t, add('ci', '--expires', '2020-01-31T00:00:00Z'), /it is in the past/);
  for (const paths of ['responses', '/a,', '/a/../b', '/a b', '']) {
    await refuses(t, add('ci', '--routes', paths), /it must be comma-separated paths such as/);
  }
  await t.rejects(stat(path), { code: 'ENOENT' });
});

t.test('add and set write limits that a sidecar reads; set keeps the rest', async (t) => {
  const path = join(await makeFolder(t), 'tokens');
  await writeFile(path, `# mine\nother:${sha256('o')} routes=/a\n`, { mode: 0o640 });
  const [value = ''] = await command([
    'add',
    'ci',
    '--file',
    path,
    '--requests',
    '60',
    '--models',
    'a,b*',
  ]);
  const limitsOf = async () => parseClientTokens(await read(path)).find(value)?.limits;
  const limits = { ...NO_LIMITS, requestsPerMinute: 60, models: ['a', 'b*'] };
  t.strictSame(await limitsOf(), limits);
  await command(['set', 'ci', '--file', path, '--streams', '4', '--requests', '5']);
  await command(['set', 'ci', '--file', path, '--input-tokens', '7', '--output-tokens', '8']);
  const all = {
    ...limits,
    requestsPerMinute: 5,
    streams: 4,
    inputTokensPerDay: 7,
    outputTokensPerDay: 8,
  };
  t.strictSame(await limitsOf(), all);
  t.equal(
    await read(path),
    `# mine\nother:${sha256('o')} routes=/a\nci:${sha256(value)} for=inference requests=5 streams=4 input-tokens=7 output-tokens=8 models=a,b*\n`,
  );
  t.equal(await modeOf(path), 0o640);
  t.match(await command(['list', '--file', path]), [
    /^other /,
    /for inference {2}requests=5 {2}streams=4 {2}input-tokens=7 {2}output-tokens=8 {2}models=a,b\*$/,
  ]);
  for (const name of ['requests', 'streams', 'input-tokens', 'output-tokens', 'models']) {
    await command(['set', 'ci', '--file', path, `--${name}`, 'none']);
  }
  t.equal(await limitsOf(), null);
});

t.test('set changes end, purpose and paths as well', async (t) => {
  const path = await makeFile(t, 'tokens', `ci:${sha256('1')} for=inference\n`);
  const after = async (...flags: string[]) => {
    await command(['set', 'ci', '--file', path, ...flags]);
    return (await read(path)).slice(`ci:${sha256('1')}`.length).trim();
  };
  const at = '2099-01-31T00:00:00Z';
  t.equal(await after('--for', 'codex'), 'for=codex');
  t.equal(await after('--expires', at), `expires=${at} for=codex`);
  t.equal(await after('--routes', '/auth/reload'), `expires=${at} for=codex routes=/auth/reload`);
  t.equal(await after('--routes', 'none', '--expires', 'none'), 'for=codex');
  t.equal(await after('--all-routes', '--streams', '1'), 'streams=1');
  t.equal(await after('--routes', 'none', '--streams', '2'), 'streams=2', 'it had none');
});

t.test('set opens every path only when told to', async (t) => {
  const line = `ci:${sha256('1')} routes=/backend-api/codex/*\n`;
  const path = await makeFile(t, 'tokens', line);
  const set = (...flags: string[]) => ['set', 'ci', '--file', path, ...flags];
  for (const more of [[], ['--requests', '5'], ['--expires', 'none']]) {
    const message = /would reach every path; say --for inference, or --all-routes$/;
    await refuses(t, set('--routes', 'none', ...more), message);
  }
  t.equal(await read(path), line);
  await command(set('--routes', 'none', '--for', 'inference'));
  t.match(await read(path), / for=inference\n$/);
});

t.test('set refuses what it cannot do, and changes nothing then', async (t) => {
  const line = `ci:${sha256('1')} requests=1\n`;
  const path = await makeFile(t, 'tokens', line);
  const set = (...args: string[]) => ['set', ...args, '--file', path];
  await refuses(t, set('ci'), /^nothing to change: name a limit/);
  await refuses(t, set('other', '--requests', '2'), /has no token named other$/);
  for (const value of ['0', '-1', 'many', '1.5', '']) {
    for (const option of ['--requests', '--streams', '--input-tokens', '--output-tokens']) {
      await refuses(t, set('ci', `${option}=${value}`), /it must be a whole number from 1 to/);
    }
  }
  await refuses(t, set('ci', '--models', 'a b'), /it must be a list of models like/);
  await refuses(t, ['add', 'new', '--file', path, '--requests', 'none'], /whole number/);
  t.equal(await read(path), line);
});
