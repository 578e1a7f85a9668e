import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkCertificate } from '../../src/commands/doctor/certificate.ts';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { preflight } from '../../src/sidecar/preflight.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import { Issued } from '../helpers/certificates.ts';
import { makeFile, makeFolder, run, serve, start } from '../helpers/program.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { closedPort } from '../helpers/upstream.ts';

const KEY = { CODEX_API_KEY: 'sk-test-of-tls' };

/** `serve` with TLS on a fixed port, so that other commands find it by the same settings. */
async function startServe(t: Test, clientNames: string[] | null = null) {
  const tls = await makeTls(t, clientNames);
  const port = await closedPort();
  const config = await makeFile(t, 'config.json', { listen: { port, tls: tls.config } });
  const info = join(await makeFolder(t), 'info');
  const program = start(t, ['serve', '--config', config, '--server-info', info], KEY);
  const line = await program.logged('listening');
  await program.logged('credential loaded');
  return { tls, port, config, info, program, line };
}

t.test('status, healthcheck, server-info and the log say https', async (t) => {
  const { port, config, info, line, tls } = await startServe(t);
  const url = `https://127.0.0.1:${port}`;
  t.equal(line.url, url);
  t.match(JSON.parse(await readFile(info, 'utf8')), { url, port });
  t.match(await run(t, ['healthcheck', '--config', config]), { code: 0, stderr: '' });
  const own = await run(t, ['status', '--config', config]);
  t.equal(own.code, 0, own.stderr);
  t.match(own.stdout, /^certificate {5}127\.0\.0\.1, localhost, expires 2120-01-01T/m);
  const byUrl = (env: Record<string, string>) => run(t, ['status', '--url', url], env);
  const unknown = await byUrl({});
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, 'a certificate that is not trusted here (');
  t.match(unknown.stderr, 'name its authority in CODEX_CA_CERTIFICATE');
  const ca = await makeFile(t, 'ca.pem', tls.authority.cert);
  t.equal((await byUrl({ CODEX_CA_CERTIFICATE: ca })).code, 0);
  const plain = await run(t, ['status', '--url', url.replace('https', 'http')]);
  t.match(plain.stderr, 'refused: this address speaks TLS: begin the URL with https');
});

t.test('a health check outlives a certificate that was renewed badly', async (t) => {
  const { config, tls, program } = await startServe(t);
  await writeFile(tls.config.certFile, tls.authority.issue({ names: ['DNS:x.example'] }).cert);
  await program.line((line) => line.includes('not read again, the old certificate stays'));
  t.match(await run(t, ['healthcheck', '--config', config]), { code: 0, stderr: '' });
  const { code, stdout } = await run(t, ['doctor', '--config', config, '--json']);
  t.equal(code, 1);
  const findings = JSON.parse(stdout) as { check: string; outcome: string; message: string }[];
  t.match(
    findings.find(({ check }) => check === 'certificate'),
    { outcome: 'failure', message: /is not the key of the first certificate/ },
  );
  t.ok(findings.some(({ message }) => message.includes('shows another certificate')));
});

t.test('where nobody has a token, client certificates are needed beyond loopback', async (t) => {
  const { config } = await startServe(t, ['agent.example']);
  t.match(await run(t, ['healthcheck', '--config', config]), { code: 0 }, 'a probe needs none');
  const tls = await makeTls(t, ['agent.example']);
  const everywhere = { host: '0.0.0.0', port: 0, tls: tls.config };
  const file = await makeFile(t, 'config.json', { listen: everywhere });
  const { program } = await serve(t, ['--config', file], KEY);
  t.notMatch(program.stdout, 'plain HTTP');
  const without = {
    listen: { ...everywhere, tls: { ...tls.config, clientCaFile: null, clientNames: [] } },
  };
  const refused = await run(t, ['serve', '--config', await makeFile(t, 'c.json', without)], KEY);
  t.equal(refused.code, 2);
  t.match(refused.stderr, 'is not loopback: set clients.tokensFile');
});

t.test('codex-config points at https, and says what Codex needs for it', async (t) => {
  const tls = await makeTls(t);
  const print = async (listen: object, env: Record<string, string> = {}, ...more: string[]) => {
    const config = await makeFile(t, 'config.json', { listen: { tls: tls.config, ...listen } });
    return run(t, ['codex-config', '--config', config, ...more], env);
  };
  const own = await print({});
  t.match(own.stdout, 'base_url = "https://127.0.0.1:8787/backend-api/codex"');
  t.match(own.stderr, 'set CODEX_CA_CERTIFICATE=FILE for Codex');
  t.notMatch(own.stderr, 'is not for');
  const told = await print({}, { CODEX_CA_CERTIFICATE: '/ca.pem' });
  t.notMatch(told.stderr, 'CODEX_CA_CERTIFICATE');
  await tls.renew({ names: ['DNS:sidecar.example'] });
  const other = await print({ host: '0.0.0.0', port: 9000 });
  t.match(other.stderr, 'the certificate is not for 127.0.0.1');
  t.match(other.stderr, 'pass --url with an address that it names (https://sidecar.example:9000)');
  const given = await print({}, {}, '--url', 'https://elsewhere.example');
  t.match(given.stdout, 'base_url = "https://elsewhere.example/backend-api/codex"');
  t.notMatch(given.stderr, 'is not for');
});

/** What doctor says of a certificate. */
async function judge(t: Test, config: PartialConfig, now = Date.UTC(2026, 10, 27)) {
  const settings = await readSettings({}, null, config);
  const tokens = { read: async () => ({ tokens: null, commit: () => null }) };
  const found = await preflight(settings, tokens, true);
  t.teardown(() => found.dispatcher?.destroy());
  return checkCertificate(settings.config, found, now);
}

t.test('doctor tells names, issuer, chain and the days that are left', async (t) => {
  const tls = await makeTls(t);
  const [finding, ...more] = await judge(t, { listen: { tls: tls.config } });
  t.match(finding, {
    outcome: 'ok',
    message:
      /^for 127\.0\.0\.1, localhost, issued by CN=test \w+, 1 in the file: \d+ days left, until 2120/,
  });
  t.strictSame(more, []);
  t.strictSame(await judge(t, {}), [], 'nothing with plain HTTP');
});

t.test('doctor warns of what clients will trip over', async (t) => {
  const tls = await makeTls(t);
  const listen = { tls: tls.config };
  const now = Date.UTC(2026, 10, 27);
  const renew = (days: number) => tls.renew({ until: now + days * 86_400_000 });
  await renew(-1);
  t.match(await judge(t, { listen }), [
    { outcome: 'failure', message: /it expired at 2026-11-26/ },
  ]);
  await renew(13);
  t.match(await judge(t, { listen }), [{ outcome: 'warning', message: /: 13 days left/ }]);
  await renew(1);
  t.match(await judge(t, { listen }), [{ outcome: 'warning', message: /: 24 hours left/ }]);
  await renew(15);
  t.match(await judge(t, { listen }), [{ outcome: 'ok' }]);
  t.match(await judge(t, { listen }, 0), [
    { outcome: 'failure', message: /not valid before 2020/ },
  ]);
  await tls.renew({ names: ['DNS:sidecar.example', 'DNS:*.wild.example'] });
  const clients = { allowedHosts: ['sidecar.example:8787'] };
  t.match(await judge(t, { listen }), [{}, { message: /it is for sidecar\.example, and clients/ }]);
  t.match(await judge(t, { listen, clients }), [{ outcome: 'ok' }]);
  await chmod(tls.config.keyFile, 0o644);
  t.match(await judge(t, { listen, clients }), [{}, { remedy: /chmod o-r/ }]);
  const { cert, key } = new Issued({});
  await writeFile(tls.config.certFile, cert);
  await writeFile(tls.config.keyFile, key);
  t.match((await judge(t, { listen }))[1], { message: /has no name/ });
});
