import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import t, { type Test } from 'tap';
import { Issued } from '../helpers/certificates.ts';
import { localError, readUntil, send } from '../helpers/exchange.ts';
import { MODELS, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { dialTls, makeTls } from '../helpers/tls-listener.ts';
import { startUpstream } from '../helpers/upstream.ts';

const digestOf = (token: string) => createHash('sha256').update(token).digest('hex');
const NAMES = ['agent.example', 'spiffe://example/agent for=codex'];

async function start(t: Test, { names = NAMES, withTokens = true } = {}) {
  const upstream = await startUpstream(t, (_request, response) => response.end('reached'));
  const tls = await makeTls(t, names);
  const tokensFile = join(tls.folder, 'tokens');
  const lines = [
    `bob:${digestOf('token-of-bob')} for=codex`,
    `carol:${digestOf('token-of-carol')}`,
  ];
  await writeFile(tokensFile, `${lines.join('\n')}\n`);
  const audit = join(tls.folder, 'audit');
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, {
    config: {
      listen: { tls: tls.config },
      clients: { tokensFile: withTokens ? tokensFile : null },
      log: { audit },
    },
  });
  const ask = (shown: ConnectionOptions, headers = {}, path = MODELS) =>
    send(sidecar.url + path, { tls: { ...tls.trust, ...shown }, headers });
  const seen: (string | null)[] = [];
  sidecar.sidecar.exchangeLog.add(({ client }) => seen.push(client));
  return { ...sidecar, upstream, tls, ask, seen };
}

async function refuses(
  t: Test,
  stand: Awaited<ReturnType<typeof start>>,
  shown: ConnectionOptions,
  why: RegExp,
) {
  const before = stand.upstream.requests.length;
  const answer = await stand.ask(shown);
  localError(t, answer, 401, 'AUTH_CLIENT_TOKEN');
  t.match(answer.text, why);
  t.equal(stand.upstream.requests.length, before, 'nothing went up');
}

t.test('a certificate stands for a token, by its name', async (t) => {
  const { ask, tls, seen, url } = await start(t);
  t.equal((await ask(tls.client({ names: ['DNS:agent.example'] }))).text, 'reached');
  t.equal((await ask(tls.client({ names: ['URI:spiffe://example/agent'] }))).text, 'reached');
  t.strictSame(seen, ['dns:agent.example', 'spiffe://example/agent']);
  const metrics = await send(`${url}/metrics`, { tls: tls.trust });
  t.match(metrics.text, 'client_requests_total{client="dns:agent.example"} 1');
  const clients = JSON.parse((await send(`${url}/auth/clients`, { tls: tls.trust })).text).clients;
  const named = (name: string) => clients.find((one: { name: string }) => one.name === name);
  for (const name of ['dns:agent.example', 'spiffe://example/agent']) {
    t.match(named(name), { state: 'valid', requestsLastMinute: 1 });
  }
});

t.test('it reaches what its entry allows', async (t) => {
  const { ask, tls } = await start(t);
  const inference = tls.client({ names: ['DNS:agent.example'] });
  localError(t, await ask(inference, {}, '/backend-api/wham/usage'), 403, 'AUTH_ROUTE_DENIED');
  const codex = tls.client({ names: ['URI:spiffe://example/agent'] });
  t.equal((await ask(codex, {}, '/backend-api/wham/usage')).text, 'reached');
});

t.test('without tokens a certificate is needed all the same', async (t) => {
  const stand = await start(t, { withTokens: false });
  await refuses(t, stand, {}, /or show a client certificate/);
  const certificate = stand.tls.client({ names: ['DNS:agent.example'] });
  t.equal((await stand.ask(certificate)).text, 'reached');
  const body = JSON.stringify({ grant_type: 'refresh_token', refresh_token: 'made up' });
  const headers = { 'content-type': 'application/json' };
  const answer = await send(`${stand.url}/oauth/token`, { body, headers, tls: stand.tls.trust });
  t.equal(answer.status, 401, 'and a made-up token is no way in');
});

const BAD: [string, (stand: Awaited<ReturnType<typeof start>>) => ConnectionOptions, RegExp][] = [
  ['no certificate', () => ({}), /missing or wrong client token/],
  [
    'an expired one',
    ({ tls }) => tls.client({ names: ['DNS:agent.example'], expired: true }),
    /CERT_HAS_EXPIRED/,
  ],
  [
    'one of an authority that is not trusted',
    () =>
      new Issued({ isAuthority: true }).issue({ names: ['DNS:agent.example'], usage: 'client' }),
    /is not accepted \((UNABLE_TO|SELF_SIGNED)/,
  ],
  [
    'one of the authority of the listener',
    ({ tls }) => tls.authority.issue({ names: ['DNS:agent.example'], usage: 'client' }),
    /is not accepted \((UNABLE_TO|SELF_SIGNED)/,
  ],
  [
    'one that signs itself',
    () => new Issued({ names: ['DNS:agent.example'], usage: 'client' }),
    /SELF_SIGNED/,
  ],
  [
    'one for servers only',
    ({ tls }) => tls.client({ names: ['DNS:agent.example'], usage: 'server' }),
    /INVALID_PURPOSE/,
  ],
  [
    'one that a client has signed',
    ({ tls }) => {
      const agent = tls.clientAuthority.issue({ names: ['DNS:agent.example'], usage: 'client' });
      const forged = agent.issue({ names: ['DNS:agent.example'], usage: 'client' });
      return { key: forged.key, cert: forged.cert + agent.cert };
    },
    /not accepted/,
  ],
  [
    'one with a name that is not listed',
    ({ tls }) => tls.client({ names: ['DNS:other.example'] }),
    /no name that listen\.tls\.clientNames holds/,
  ],
  [
    'one that is called so by its common name alone',
    ({ tls }) => tls.client({ commonName: 'agent.example' }),
    /no name/,
  ],
  ['one with a wildcard', ({ tls }) => tls.client({ names: ['DNS:*.example'] }), /no name/],
  [
    'one that hides a name in another',
    ({ tls }) => tls.client({ names: ['DNS:x, DNS:agent.example, DNS:y'] }),
    /no name/,
  ],
  [
    'one that has the id as a DNS name',
    ({ tls }) => tls.client({ names: ['DNS:spiffe://example/agent'] }),
    /no name/,
  ],
  [
    'one with two ids',
    ({ tls }) => tls.client({ names: ['URI:spiffe://example/agent', 'URI:spiffe://example/b'] }),
    /no name/,
  ],
];

for (const [what, shownBy, why] of BAD) {
  t.test(`refused: ${what}`, async (t) => {
    const stand = await start(t);
    await refuses(t, stand, shownBy(stand), why);
    const shown = shownBy(stand);
    const token = { 'x-sidecar-token': 'token-of-bob' };
    t.equal((await stand.ask(shown, token)).text, 'reached', 'a token needs none');
    t.equal(stand.seen.at(-1), 'bob');
  });
}

t.test('with the token of another client one is that client, with its limits', async (t) => {
  const { ask, tls, seen } = await start(t);
  const shown = tls.client({ names: ['DNS:agent.example'] });
  const asBob = { authorization: 'Bearer token-of-bob' };
  t.equal((await ask(shown, asBob, '/backend-api/wham/usage')).text, 'reached');
  t.equal(seen.at(-1), 'bob');
  const wide = tls.client({ names: ['URI:spiffe://example/agent'] });
  localError(t, await ask(wide, asBob, '/auth/reload'), 403, 'AUTH_ROUTE_DENIED');
});

t.test('a wrong token is wrong, whatever certificate is shown with it', async (t) => {
  const { ask, tls } = await start(t);
  const shown = tls.client({ names: ['DNS:agent.example'] });
  for (const headers of [{ 'x-sidecar-token': 'wrong' }, { authorization: 'Bearer wrong' }]) {
    localError(t, await ask(shown, headers), 401, 'AUTH_CLIENT_TOKEN');
  }
});

t.test('a session that is taken up again is what it was', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { port, tls } = await start(t);
    const certificate = tls.client({ names: ['DNS:agent.example'] });
    for (const [shown, status] of [
      [certificate, 200],
      [tls.trust, 401],
    ] as const) {
      let session: Buffer | undefined;
      for (const again of [false, true]) {
        const client = connect({ port, host: '127.0.0.1', ...shown, maxVersion, session });
        client.on('session', (ticket: Buffer) => {
          session = ticket;
        });
        await once(client, 'secureConnect');
        t.equal(client.isSessionReused(), again, `${maxVersion}, ${again ? 'again' : 'anew'}`);
        client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
        t.match(await readUntil(client, '\r\n\r\n'), `HTTP/1.1 ${status} `);
        session ??= client.getSession();
        client.destroy();
      }
    }
  }
});

t.test('a certificate does not outlive its authority on a connection that is open', async (t) => {
  const { port, tls, log, ask } = await start(t);
  const certificate = tls.client({ names: ['DNS:agent.example'] });
  const client = dialTls(t, port, certificate);
  const statusOf = async () => {
    client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    const head = await readUntil(client, '\r\n\r\n');
    await readUntil(client, head.startsWith('HTTP/1.1 200') ? 'reached' : '}}');
    return Number(head.slice(9, 12));
  };
  const readAgain = () => log.filter((line) => line.includes('were read again')).length;
  const authority = new Issued({ isAuthority: true });
  t.equal(await statusOf(), 200);
  await writeFile(tls.config.clientCaFile ?? '', tls.clientAuthority.cert + authority.cert);
  while (readAgain() < 1) await ask({});
  t.equal(await statusOf(), 200, 'one more authority changes nothing');
  await writeFile(tls.config.clientCaFile ?? '', authority.cert);
  while (readAgain() < 2) await ask({});
  t.equal(await statusOf(), 401, 'one less does');
  t.equal((await ask(certificate)).status, 401, 'and so it is for new connections');
  const next = authority.issue({ names: ['DNS:agent.example'], usage: 'client' });
  t.equal((await ask(next)).status, 200);
});
