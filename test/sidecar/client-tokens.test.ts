import { execFileSync } from 'node:child_process';
import { chmod, copyFile, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { ClientTokens } from '../../src/clients/client-tokens.ts';
import { addToken, removeToken } from '../../src/commands/token/tokens-file-editor.ts';
import { CredentialManager } from '../../src/credentials/manager.ts';
import { watchPath } from '../../src/files/watch.ts';
import { exposure, TokensFile } from '../../src/sidecar/tokens-file.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { send } from '../helpers/exchange.ts';
import { MODELS, makeFolder, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const READ_AGAIN = 'client tokens read again';
const NOT_READ = 'client tokens not read again, the old ones stay';

async function start(t: Test) {
  const path = join(await makeFolder(t), 'tokens');
  const file = { path, warn: (line: string) => t.fail(line) };
  const add = (name: string) =>
    addToken(file, { name, expiresAt: null, purpose: null, routes: null, limits: null });
  const first = await add('first');
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'));
  const config = { clients: { tokensFile: path } };
  const { url, log, sidecar } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const statusWith = async (token: string) =>
    (await send(url + MODELS, { headers: { 'x-sidecar-token': token } })).status;
  /** Waits until the log has said so `count` times. */
  const logged = (message: string, count = 1) =>
    passes(() => log.filter((line) => line.includes(message)).length >= count);
  const passes = async (holds: () => boolean) => {
    while (!holds()) await send(`${url}/livez`);
  };
  return { passes, path, file, add, first, statusWith, logged, log, sidecar };
}

/** Whether the watcher of the sidecar was told of a change since; this one is told after it. */
function watchBeside(t: Test, path: string): () => boolean {
  let noticed = false;
  const stop = watchPath(path, dirname(path), () => {
    noticed = true;
  });
  t.teardown(stop);
  return () => noticed;
}

t.test('a token is in force without a restart, and one that is removed is not', async (t) => {
  const { file, add, first, statusWith, logged } = await start(t);
  t.equal(await statusWith(first), 200);
  const second = await add('second');
  await logged(READ_AGAIN);
  t.equal(await statusWith(second), 200);
  t.equal(await statusWith(first), 200);
  await removeToken(file, 'first');
  await logged(READ_AGAIN, 2);
  t.equal(await statusWith(first), 401);
  t.equal(await statusWith(second), 200);
});

t.test('without its last token nobody gets in', async (t) => {
  const { file, first, statusWith, logged, sidecar, log } = await start(t);
  await removeToken(file, 'first');
  await logged(READ_AGAIN);
  t.equal(await statusWith(first), 401);
  t.equal(await statusWith(''), 401);
  await sidecar.reload();
  t.equal(await statusWith(first), 401);
  t.ok(log.some((line) => line.includes('holds no token: every client is refused')));
});

t.test('a file that is broken or gone keeps the tokens, and says so', async (t) => {
  const { path, add, first, statusWith, logged, log, passes } = await start(t);
  await writeFile(path, 'hush\n');
  await logged(NOT_READ);
  const noticed = watchBeside(t, path);
  await writeFile(path, 'hush\n\n');
  await passes(noticed);
  t.equal(await statusWith(first), 200);
  await rm(path);
  await logged('cannot read');
  t.equal(log.filter((line) => line.includes(NOT_READ)).length, 2, 'each problem once');
  t.equal(await statusWith(first), 200);
  const again = await add('again');
  await logged(READ_AGAIN);
  t.equal(await statusWith(first), 401);
  t.equal(await statusWith(again), 200);
});

/** The file without a sidecar, with one token at first. */
async function makeTokensFile(t: Test) {
  const path = join(await makeFolder(t), 'tokens');
  const file = { path, warn: t.fail };
  const add = (name: string) =>
    addToken(file, { name, expiresAt: null, purpose: null, routes: null, limits: null });
  await add('first');
  const used: string[][] = [];
  const captured = captureLog();
  const tokensFile = new TokensFile(captured.log, (tokens) => used.push(namesOf(tokens)));
  t.teardown(() => tokensFile.close());
  /** Waits until a change put these names in force. */
  const inForce = async (...names: string[]) => {
    while (used.at(-1)?.join() !== names.join()) await new Promise(setImmediate);
  };
  return { path, file, add, tokensFile, used, inForce, captured };
}

const namesOf = (tokens: ClientTokens | null) => tokens?.list.map(({ name }) => name) ?? [];

t.test('a change between the read and the watch is in force as well', async (t) => {
  const { path, add, tokensFile, inForce } = await makeTokensFile(t);
  const { commit } = await tokensFile.read(path, true);
  await add('second');
  t.strictSame(namesOf(commit()), ['first']);
  await inForce('first', 'second');
});

t.test('what was read before a change does not undo it', async (t) => {
  const { path, file, add, tokensFile, inForce } = await makeTokensFile(t);
  await add('second');
  (await tokensFile.read(path, true)).commit();
  const { commit } = await tokensFile.read(path, false);
  await removeToken(file, 'first');
  await inForce('second');
  t.strictSame(namesOf(commit()), ['second']);
});

t.test('nor does a slow read of an older file', async (t) => {
  const { path, file, add, tokensFile, used, inForce } = await makeTokensFile(t);
  (await tokensFile.read(path, true)).commit();
  const slow = `${path}.slow`;
  execFileSync('mkfifo', [slow]);
  await rename(path, `${path}.old`);
  await rename(slow, path);
  // Succeeds when somebody reads, and holds that read up.
  const writer = await open(path, 'w');
  await rename(path, slow);
  await add('second');
  await inForce('second');
  await writer.writeFile(`late:${'0'.repeat(64)}\n`);
  await writer.close();
  await add('third');
  await removeToken(file, 'second');
  await inForce('third');
  t.notOk(used.flat().includes('late'));
});

t.test('a token that is taken away during a reload stays away', async (t) => {
  const { path, file, add, first, statusWith, logged, sidecar } = await start(t);
  await add('second');
  await logged(READ_AGAIN);
  const { manager } = sidecar;
  let proceed = () => {};
  const held = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const arrived = new Promise<void>((arrive) => {
    t.intercept(manager, 'read', {
      value: async () => {
        arrive();
        await held;
        return CredentialManager.prototype.read.call(manager);
      },
    });
  });
  const reloaded = sidecar.reload();
  await arrived;
  await removeToken(file, 'first');
  await logged(READ_AGAIN, 2);
  // So that no later read could mend it.
  await writeFile(path, 'hush\n');
  await logged(NOT_READ);
  proceed();
  await reloaded;
  t.equal(await statusWith(first), 401);
});

t.test('a file that breaks the same way again is said again', async (t) => {
  const { path, tokensFile, captured } = await makeTokensFile(t);
  const text = await readFile(path, 'utf8');
  // Never seen half written.
  const replace = async (content: string) => {
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  };
  const refusals = () => captured.text().split(NOT_READ).length - 1;
  const refused = async (count: number) => {
    while (refusals() < count) await new Promise(setImmediate);
  };
  (await tokensFile.read(path, true)).commit();
  await replace('hush\n');
  await refused(1);
  await replace(text);
  const { commit } = await tokensFile.read(path, false);
  await replace('hush\n');
  commit();
  await refused(2);
  // Until the watch has seen it whole in between.
  while (refusals() < 3) {
    for (const content of [text, 'hush\n']) {
      const noticed = watchBeside(t, path);
      await replace(content);
      while (!noticed()) await new Promise(setImmediate);
    }
  }
});

t.test('another file beside it changes nothing', async (t) => {
  const { path, file, first, statusWith, logged, log, passes } = await start(t);
  const noticed = watchBeside(t, path);
  const other = watchBeside(t, `${path}.other`);
  await writeFile(`${path}.other`, 'hush');
  await passes(other);
  t.notOk(noticed(), 'the watcher of the tokens was not even woken');
  await removeToken(file, 'first');
  while ((await statusWith(first)) !== 401);
  await logged(READ_AGAIN);
  t.equal(log.filter((line) => line.includes(READ_AGAIN)).length, 1);
});

t.test(
  'a file that other users can write is a warning, at the start and at a reload',
  async (t) => {
    const path = join(await makeFolder(t), 'tokens');
    await addToken(
      { path, warn: t.fail },
      { name: 'a', expiresAt: null, purpose: null, routes: null, limits: null },
    );
    const config = { clients: { tokensFile: path } };
    const warning = `${path} can be written by other users; run: chmod go-w ${path}`;
    const warnings = (log: string[]) => log.filter((line) => line.includes(warning)).length;
    const origin = 'http://127.0.0.1:1';
    const { sidecar, log } = await startSidecarInFrontOf(t, origin, { config });
    t.equal(warnings(log), 0, 'as "token add" makes it');
    await chmod(path, 0o602);
    await sidecar.reload();
    await sidecar.reload();
    t.equal(warnings(log), 1, 'once');
    t.equal(warnings((await startSidecarInFrontOf(t, origin, { config })).log), 1);
  },
);

t.test('so is one that is moved over it, or made so', async (t) => {
  const { path, add, tokensFile, inForce, captured } = await makeTokensFile(t);
  const warned = async (count: number) => {
    while (captured.warnings().length < count) await new Promise(setImmediate);
  };
  (await tokensFile.read(path, true)).commit();
  await copyFile(path, `${path}.new`);
  await chmod(`${path}.new`, 0o666);
  await rename(`${path}.new`, path);
  await warned(1);
  await chmod(path, 0o600);
  await add('second');
  await inForce('first', 'second');
  await chmod(path, 0o666);
  await warned(2);
  const warning = `${path} can be written by other users; run: chmod go-w ${path}`;
  t.strictSame(captured.warnings(), [warning, warning]);
});

const OWN = 1000;
for (const [mode, uid, problem] of [
  [0o600, OWN, null],
  [0o644, OWN, null],
  [0o444, 0, null],
  [0o620, OWN, /^can be written by other users$/],
  [0o602, 0, /^can be written by other users$/],
  [0o400, 1001, /^belongs to another user \(1001\), who can write it$/],
] as const) {
  t.test(`a file of user ${uid} with mode ${mode.toString(8)}`, async (t) => {
    const found = exposure('/tokens', { mode: 0o100000 | mode, uid }, OWN);
    if (problem === null) t.equal(found, null);
    else t.match(found?.problem, problem);
  });
}
