import t from 'tap';
import { parseClientNames } from '../../src/clients/client-certificates.ts';

const KEY = 'listen.tls.clientNames';
const EXPIRES = Date.parse('2030-01-01T00:00:00Z');

function find(entries: string[], ...names: string[]) {
  const certificate = {
    names: names.map((name) => {
      const at = name.indexOf(':');
      return { kind: name.slice(0, at), value: name.slice(at + 1) };
    }),
    expiresAt: EXPIRES,
    problem: null,
  };
  return parseClientNames(KEY, entries).find(certificate);
}

t.test('a name is that of an entry, and shown so that no token can have it', async (t) => {
  const entries = ['agent.example', 'spiffe://Example.not/x'.replace('Example.not', 'example')];
  t.match(find(entries, 'DNS:agent.example'), { name: 'dns:agent.example', expiresAt: EXPIRES });
  t.match(find(entries, 'DNS:AGENT.example'), { name: 'dns:agent.example' });
  t.match(find(entries, 'URI:spiffe://example/x'), { name: 'spiffe://example/x' });
  t.equal(find(entries, 'URI:spiffe://example/X'), null, 'a path has its case');
  t.equal(find(entries, 'URI:spiffe://example/x/y'), null);
  t.equal(find(entries, 'URI:agent.example'), null, 'of its kind');
  t.equal(find(entries, 'DNS:spiffe://example/x'), null);
  t.equal(find(entries), null, 'without a name');
});

t.test('a wildcard is nobody', async (t) => {
  t.equal(find(['agent.example'], 'DNS:*.example'), null);
  t.throws(() => parseClientNames(KEY, ['*.example']), { message: /clientNames\.0 must begin/ });
});

t.test('of several names one is enough; the first entry that fits counts', async (t) => {
  const entries = ['a.example for=inference', 'b.example for=codex'];
  t.match(find(entries, 'DNS:x.example', 'DNS:b.example'), { name: 'dns:b.example' });
  t.match(find(entries, 'DNS:b.example', 'DNS:a.example'), { purpose: 'inference' });
});

t.test('a certificate with several ids has none', async (t) => {
  const entries = ['spiffe://example/a', 'a.example'];
  t.equal(find(entries, 'URI:spiffe://example/a', 'URI:spiffe://example/b'), null);
  t.match(find(entries, 'URI:spiffe://example/a', 'URI:spiffe://example/b', 'DNS:a.example'), {
    name: 'dns:a.example',
  });
});

t.test('limits are those of a token; without any it is for inference', async (t) => {
  t.match(find(['a.example'], 'DNS:a.example'), { purpose: 'inference', routes: null });
  t.match(find(['a.example for=codex routes=/auth/status'], 'DNS:a.example'), {
    purpose: 'codex',
    routes: ['/auth/status'],
  });
  t.match(find(['a.example routes=/*'], 'DNS:a.example'), { purpose: null, routes: ['/*'] });
});

t.test('the earlier end counts', async (t) => {
  const early = find(['a.example expires=2029-01-01T00:00:00Z'], 'DNS:a.example');
  t.equal(early?.expiresAt, Date.parse('2029-01-01T00:00:00Z'));
  const late = find(['a.example expires=2031-01-01T00:00:00Z'], 'DNS:a.example');
  t.equal(late?.expiresAt, EXPIRES);
});

const WRONG: [string, RegExp][] = [
  ['', /clientNames\.0 must begin with a DNS name/],
  ['a.example:443', /must begin/],
  ['127.0.0.1', /must begin/],
  ['::1', /must begin/],
  ['.example', /must begin/],
  ['CN=agent', /must begin/],
  ['https://a.example', /must begin/],
  ['spiffe://example', /must begin/],
  ['spiffe://example/', /must begin/],
  ['spiffe://example/a/../b', /must begin/],
  ['spiffe://example:8443/a', /must begin/],
  ['spiffe://user@example/a', /must begin/],
  ['spiffe://example/a?b', /must begin/],
  ['a.example for=everything', /clientNames\.0 has a for that is not one of/],
  ['a.example reads=1', /clientNames\.0 has a limit other than/],
];
for (const [entry, message] of WRONG) {
  t.test(`refused: ${JSON.stringify(entry)}`, async (t) => {
    t.throws(() => parseClientNames(KEY, [entry]), { name: 'ConfigError', message });
  });
}

t.test('two entries of one name', async (t) => {
  t.throws(() => parseClientNames(KEY, ['a.example', 'A.example']), {
    message: /clientNames\.1 has the name of an earlier entry/,
  });
});
