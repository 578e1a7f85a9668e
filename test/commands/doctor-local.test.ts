import { chmodSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createLogger } from '../../src/base/logger.ts';
import {
  absent,
  type Check,
  type Finding,
  findingLine,
  isUnicode,
  ok,
  runChecks,
  warning,
} from '../../src/commands/doctor/finding.ts';
import {
  checkAuthFile,
  checkClients,
  checkEncryption,
  checkLock,
  checkNode,
  OLDEST_NODE,
} from '../../src/commands/doctor/local.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { lockingByProgram, lockWay } from '../../src/files/lock-way.ts';
import { preflight } from '../../src/sidecar/preflight.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import { TokensFile } from '../../src/sidecar/tokens-file.ts';

const outcomes = (findings: Finding[]) => findings.map(({ outcome }) => outcome);

t.test('the version of Node.js', async (t) => {
  t.equal(`>=${OLDEST_NODE}`, JSON.parse(readFileSync('package.json', 'utf8')).engines.node);
  t.equal(checkNode(OLDEST_NODE).outcome, 'ok');
  t.equal(checkNode('100.0.0').outcome, 'ok');
  t.match(checkNode('20.9.0'), { outcome: 'failure', remedy: /install Node\.js 20\.18\.1/ });
});

/** What `doctor` says about the client tokens of a configuration. */
async function clients(flags: PartialConfig, canReadZstd?: boolean): Promise<Finding> {
  const settings = await readSettings({}, null, flags);
  const tokens = new TokensFile(createLogger({ level: 'silent' }), () => undefined);
  return checkClients(settings.config, await preflight(settings, tokens, false), canReadZstd);
}

const TOKENS: [name: string, config: object, text: string | null, outcome: string][] = [
  ['none on loopback', {}, null, 'warning'],
  ['none on a socket', { listen: { socket: '/s' } }, null, 'absent'],
  ['none beyond loopback', { listen: { host: '0.0.0.0' } }, null, 'failure'],
  ['one', {}, `a:${'0'.repeat(64)} for=inference\n`, 'ok'],
  ['one that reaches everything', {}, `a:${'0'.repeat(64)}\n`, 'warning'],
  ['by a path', {}, `a:${'0'.repeat(64)} routes=/auth/reload,/backend-api/*\n`, 'warning'],
  ['by chats', {}, `a:${'0'.repeat(64)} for=codex routes=/backend-api/conversation\n`, 'warning'],
  ['by segments', {}, `a:${'0'.repeat(64)} routes=/*/*/more\n`, 'ok'],
  ['by any segments', {}, `a:${'0'.repeat(64)} routes=/*/*/*\n`, 'warning'],
  ['by every path', {}, `a:${'0'.repeat(64)} for=inference routes=/*\n`, 'warning'],
  ['one with paths', {}, `a:${'0'.repeat(64)} routes=/backend-api/codex/*\n`, 'ok'],
  ['an empty file', {}, '# none\n', 'failure'],
  ['a wrong line', {}, 'a:b\n', 'failure'],
];

for (const [name, config, text, outcome] of TOKENS) {
  t.test(`client tokens: ${name}`, async (t) => {
    const folder = t.testdir(text === null ? {} : { tokens: text });
    const tokensFile = text === null ? null : join(folder, 'tokens');
    if (tokensFile !== null) chmodSync(tokensFile, 0o600);
    const finding = await clients({ ...config, clients: { tokensFile } });
    t.equal(finding.outcome, outcome, finding.message);
  });
}

for (const [listen, outcome] of [
  [{ host: '0.0.0.0' }, ['warning']],
  [{ host: '::' }, ['warning']],
  [{ host: 'box.example' }, ['warning']],
  [{ host: '0.0.0.0', tls: { certFile: '/c', keyFile: '/k' } }, []],
  [{ host: '127.0.0.1' }, []],
  [{ host: '::1' }, []],
  [{ host: 'localhost' }, []],
  [{ host: '0.0.0.0', socket: '/s' }, []],
] as const) {
  t.test(`plain HTTP on ${JSON.stringify(listen)}`, async (t) => {
    const findings = checkEncryption(resolveConfig({ listen }));
    t.strictSame(outcomes(findings), outcome);
    for (const { message, remedy } of findings) {
      t.match(message, `listen.host ${listen.host} is reached over plain HTTP`);
      t.match(remedy, 'listen.tls');
    }
  });
}

t.test('client tokens: one that is limited to models where zstd cannot be read', async (t) => {
  const text = `a:${'0'.repeat(64)} for=codex models=gpt-5.1\nb:${'1'.repeat(64)} for=codex\n`;
  const tokensFile = join(t.testdir({ tokens: text }), 'tokens');
  chmodSync(tokensFile, 0o600);
  t.equal((await clients({ clients: { tokensFile } }, true)).outcome, 'ok');
  t.match(await clients({ clients: { tokensFile } }, false), {
    outcome: 'warning',
    message: /; a is limited to models, and Codex .* zstd/,
    remedy: /Node\.js 22\.15/,
  });
});

t.test('client tokens: a file that others can write', async (t) => {
  const tokensFile = join(t.testdir({ tokens: `a:${'0'.repeat(64)}\n` }), 'tokens');
  chmodSync(tokensFile, 0o620);
  t.match(await clients({ clients: { tokensFile } }), {
    outcome: 'warning',
    message: `${tokensFile} can be written by other users`,
    remedy: `run: chmod go-w ${tokensFile}`,
  });
});

t.test('client tokens: no such file', async (t) => {
  const finding = await clients({ clients: { tokensFile: '/nonexistent' } });
  t.match(finding, { outcome: 'failure', message: /cannot read \/nonexistent \(ENOENT\)/ });
});

function authHome(t: Test, mode: number): string {
  const folder = t.testdir({ 'auth.json': '{}' });
  chmodSync(join(folder, 'auth.json'), mode);
  return folder;
}

t.test('auth.json that only its owner can read', async (t) => {
  t.strictSame(outcomes(await checkAuthFile(authHome(t, 0o600))), ['ok']);
  t.strictSame(outcomes(await checkAuthFile('/nonexistent')), ['absent'], 'none is no fault');
});

t.test('auth.json that others can read', async (t) => {
  const folder = authHome(t, 0o640);
  t.match(await checkAuthFile(folder), [
    { outcome: 'warning', remedy: `run: chmod 600 ${join(folder, 'auth.json')}` },
  ]);
});

t.test('auth.json with another name', async (t) => {
  const folder = authHome(t, 0o600);
  linkSync(join(folder, 'auth.json'), join(folder, 'other'));
  t.match(await checkAuthFile(folder), [{ outcome: 'warning', message: /hard links/ }]);
});

t.test('the program that locks', async (t) => {
  const folder = t.testdir({});
  const check = (folders: string) => checkLock(lockingByProgram(folders));
  t.match(await check(folder), { outcome: 'warning', remedy: /install flock/ });
  mkdirSync(join(folder, 'a', 'flock'), { recursive: true });
  t.equal((await check(join(folder, 'a'))).outcome, 'warning', 'a folder is no program');
  writeFileSync(join(folder, 'flock'), '', { mode: 0o644 });
  t.equal((await check(folder)).outcome, 'warning', 'nor is what cannot be run');
  chmodSync(join(folder, 'flock'), 0o755);
  t.match(await check(`/nonexistent::${folder}`), { outcome: 'ok', message: /flock$/ });
});

t.test('doctor asks for the lock as a sidecar does', async (t) => {
  t.match(await checkLock(), { outcome: 'ok', message: await lockWay().means() });
  t.match(await checkLock(lockWay('darwin')), { outcome: 'ok', message: /O_EXLOCK/ });
  t.match(await checkLock(lockWay('win32')), { outcome: 'warning', remedy: /Windows/ });
});

t.test('findings come in order, and a check that fails or hangs is a finding', async (t) => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const checks: Check[] = [
    {
      name: 'slow',
      run: async () => {
        await gate;
        return [ok('slow', '')];
      },
    },
    { name: 'broken', run: () => Promise.reject(new Error('why')) },
    {
      name: 'thrown',
      run: () => {
        throw new Error('so');
      },
    },
    {
      name: 'last',
      run: () => {
        release();
        return [ok('last', '1'), ok('last', '2')];
      },
    },
  ];
  const reported: Finding[] = [];
  const all = await runChecks(checks, 60_000, (finding) => reported.push(finding));
  t.strictSame(all, reported);
  t.match(all, [
    { check: 'slow', outcome: 'ok' },
    { check: 'broken', outcome: 'failure', message: 'why' },
    { check: 'thrown', outcome: 'failure', message: 'so' },
    { message: '1' },
    { message: '2' },
  ]);
  const hanging = { name: 'hanging', run: () => new Promise<Finding[]>(() => undefined) };
  t.match(await runChecks([hanging], 1, () => undefined), [
    { check: 'hanging', outcome: 'failure', message: /no result within/ },
  ]);
});

t.test('no more than four checks at once', async (t) => {
  let running = 0;
  let most = 0;
  const check = {
    name: 'x',
    run: async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return [];
    },
  };
  await runChecks(Array(12).fill(check), 60_000, () => undefined);
  t.equal(most, 4);
});

t.test('a line for people', async (t) => {
  const finding = warning('lock', 'no lock', 'install one');
  t.equal(findingLine(finding, true), `! ${'lock'.padEnd(24)} no lock; install one`);
  t.match(findingLine(ok('a', 'b'), true), /^✓ a +b$/);
  t.match(findingLine(ok('a', 'b'), false), /^\+ a +b$/);
  t.match(findingLine(absent('a', 'b'), true), /^– a +b$/);
  t.match(findingLine(absent('a', 'b'), false), /^- a +b$/);
  t.ok(isUnicode({}));
  t.ok(isUnicode({ LANG: 'de_DE.utf8' }));
  t.notOk(isUnicode({ LANG: 'de_DE.UTF-8', LC_ALL: 'C' }));
});
