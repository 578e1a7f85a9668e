import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { AuditLog, auditLine, checkAuditTarget } from '../../src/telemetry/audit-log.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';
import { makeFolder } from '../helpers/sidecar.ts';

async function openAudit(t: Test) {
  const file = join(await makeFolder(t), 'audit.log');
  const captured = captureLog();
  const audit = await AuditLog.open(file, captured.log);
  t.teardown(() => audit.close());
  const paths = (name = file) =>
    readFileSync(name, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).path);
  return { file, audit, captured, paths };
}

t.test('one line says who asked for what and what came of it', async (t) => {
  const line = auditLine(exchangeRecord({ client: 'agent-1', durationMs: 1200.6 }));
  t.ok(line.endsWith('}'));
  t.strictSame(JSON.parse(line), {
    time: '2026-11-20T21:30:36.250Z',
    client: 'agent-1',
    method: 'POST',
    path: '/backend-api/codex/responses',
    kind: 'assertion',
    status: 200,
    durationMs: 1201,
    bytesIn: 38_000,
    bytesOut: 5_000,
    upstreamRequestId: 'req-1',
    code: null,
    outcome: 'complete',
    model: null,
    tokens: null,
  });
});

t.test('the file is for its owner alone, is appended to, and is whole at the end', async (t) => {
  const { file, audit, captured, paths } = await openAudit(t);
  t.equal(statSync(file).mode & 0o777, 0o600);
  for (let i = 0; i < 500; i++) audit.finished(exchangeRecord({ path: `/${i}` }));
  await audit.close();
  t.equal(paths().length, 500);
  const again = await AuditLog.open(file, captured.log);
  again.finished(exchangeRecord({ path: '/more' }));
  await again.close();
  again.finished(exchangeRecord({ path: '/too late' }));
  t.strictSame(paths().slice(-2), ['/499', '/more']);
});

t.test('after a rotation the lines go to a new file, and none is lost', async (t) => {
  const { file, audit, paths } = await openAudit(t);
  for (let i = 0; i < 100; i++) audit.finished(exchangeRecord({ path: `/${i}` }));
  renameSync(file, `${file}.1`);
  t.equal(await audit.reopen(), true);
  for (let i = 100; i < 200; i++) audit.finished(exchangeRecord({ path: `/${i}` }));
  await audit.close();
  const all = [...paths(`${file}.1`), ...paths()];
  t.strictSame(
    all,
    Array.from({ length: 200 }, (_, i) => `/${i}`),
  );
  t.equal(paths()[0], '/100');
  t.equal(statSync(file).mode & 0o777, 0o600);
});

t.test('a rotation at the very end, and under way, holds nothing up', async (t) => {
  const { file, audit, paths } = await openAudit(t);
  audit.finished(exchangeRecord({ path: '/before' }));
  renameSync(file, `${file}.1`);
  const reopened = audit.reopen();
  audit.finished(exchangeRecord({ path: '/meanwhile' }));
  await audit.close();
  t.equal(await reopened, true);
  t.strictSame(paths(`${file}.1`), ['/before', '/meanwhile']);
  t.equal(await audit.reopen(), false, 'it is closed');
});

t.test('where the file cannot be opened again the old one stays in use', async (t) => {
  const { file, audit, captured, paths } = await openAudit(t);
  renameSync(file, `${file}.1`);
  mkdirSync(file);
  t.equal(await audit.reopen(), false);
  audit.finished(exchangeRecord({ path: '/kept' }));
  await audit.close();
  t.strictSame(paths(`${file}.1`), ['/kept']);
  t.match(captured.text(), 'cannot be opened again');
});

t.test('a file that cannot be opened is a wrong configuration, also for the check', async (t) => {
  const folder = await makeFolder(t);
  const { log } = captureLog();
  const link = join(folder, 'link');
  symlinkSync('/nonexistent/audit.log', link);
  for (const [target, code] of [
    [folder, 'EISDIR'],
    [join(folder, 'missing', 'audit.log'), 'ENOENT'],
    [link, 'ENOENT'],
    [join(link, 'audit.log'), 'ENOENT'],
    ['/dev/null/audit.log', 'ENOTDIR'],
  ] as const) {
    const refusal = new ConfigError(`log.audit: cannot write ${target} (${code})`);
    await t.rejects(AuditLog.open(target, log), refusal);
    await t.rejects(checkAuditTarget(target), refusal);
  }
});

t.test('the check takes what can be opened, and makes no file', async (t) => {
  const folder = await makeFolder(t);
  const file = join(folder, 'audit.log');
  for (const target of [null, '-', 'stdout', '/dev/null', file]) await checkAuditTarget(target);
  t.equal(existsSync(file), false);
  writeFileSync(file, 'kept\n');
  await checkAuditTarget(file);
  t.equal(readFileSync(file, 'utf8'), 'kept\n');
});

t.test('a full disk is said once, and does not stop the end', async (t) => {
  const captured = captureLog();
  const audit = await AuditLog.open('/dev/full', captured.log);
  const errors = () => captured.entries().filter(({ level }) => level === 'error');
  audit.finished(exchangeRecord());
  while (errors().length === 0) await new Promise(setImmediate);
  for (let i = 0; i < 20; i++) {
    audit.finished(exchangeRecord());
    await new Promise(setImmediate);
  }
  t.strictSame(
    errors().map(({ msg }) => msg),
    ['the audit log cannot be written; requests go on without it'],
  );
  t.match(errors()[0], { err: { code: 'ENOSPC' } });
  await audit.close();
  t.match(captured.text(), 'the last lines of the audit log are lost');
});

t.test('lines that wait for too long are counted as lost', async (t) => {
  const audit = await AuditLog.open('/dev/full', captureLog().log);
  t.teardown(() => audit.close());
  const path = `/${'x'.repeat(64 * 1024)}`;
  while (audit.lost === 0) audit.finished(exchangeRecord({ path }));
  t.equal(audit.lost, 1);
});
