import t from 'tap';
import { normalizeTarget } from '../../src/access/path.ts';

const ACCEPTED: [target: string, path: string, query?: string][] = [
  ['/', '/'],
  ['/backend-api/codex/responses', '/backend-api/codex/responses'],
  ["/a.b/c_d~e/!$&'()*+,=:@-", "/a.b/c_d~e/!$&'()*+,=:@-"],
  ['/..a/a../...', '/..a/a../...'],
  ['/%62ackend%2Dapi/%7e%5F', '/backend-api/~_'],
  ['/a%20b%c3%a9', '/a%20b%C3%A9'],
  ['/%f0%9f%98%80', '/%F0%9F%98%80'],
  ['/a%3ab%40c%3f%23', '/a%3Ab%40c%3F%23'],
  ['/a%2A', '/a%2A'],
  ['/%2e%2ea', '/..a'],
];

for (const [target, path] of ACCEPTED) {
  t.test(`accepts ${target}`, async (t) => {
    t.strictSame(normalizeTarget(target), { path, query: '' });
    t.strictSame(normalizeTarget(path), { path, query: '' }, 'the result is stable');
  });
}

const REFUSED: [reason: string, targets: string[]][] = [
  ['dot segments', ['/.', '/..', '/a/./b', '/a/../b', '/a/..', '/a/.', '/../a', '/./a']],
  ['encoded dot segments', ['/%2e', '/%2E%2e/a', '/a/.%2e/b', '/a/%2e./b', '/a/%2e']],
  ['empty segments', ['//', '//a', '/a//b', '/a/', '/a/b/']],
  ['encoded slash', ['/a%2fb', '/a%2Fb', '/%2f']],
  ['encoded backslash', ['/a%5cb', '/a%5Cb']],
  ['NUL and other controls', ['/a%00', '/a%0a', '/a%0D%0Ax', '/a%1f', '/a%7f', '/a\0', '/a\n']],
  ['double encoding', ['/a%25', '/%252e%252e/a', '/a%252fb']],
  ['path parameters', ['/a;b', '/a%3bb', '/a%3Bb', '/..;/a']],
  ['broken percent-encoding', ['/%', '/a%2', '/%zz', '/%u0041', '/% 41', '/%-1']],
  ['invalid UTF-8', ['/%ff', '/%c3', '/%c0%ae%c0%ae/a', '/%c0%af', '/%ed%a0%80', '/%C3A']],
  ['non-ASCII', ['/é', '/a\u2024\u2024', '/\uff0e\uff0e/a', '/\u0080']],
  [
    'characters that do not stand in a path',
    ['/a b', '/a\\b', '/a"b', '/<a>', '/a|b', '/[a]', '/{a}', '/a^b', '/a`b'],
  ],
  ['absolute form', ['http://evil.example/backend-api/x', 'https://chatgpt.com/']],
  ['authority form', ['evil.example:443', 'localhost']],
  ['asterisk form', ['*']],
  ['no path', ['', '?a=b', 'a', '%2fa']],
  ['fragments', ['/a#b', '/a?b#c']],
];

for (const [reason, targets] of REFUSED) {
  t.test(`refuses ${reason}`, async (t) => {
    for (const target of targets) t.equal(normalizeTarget(target), null, JSON.stringify(target));
    const below = targets.filter((target) => target.startsWith('/'));
    for (const target of below) t.equal(normalizeTarget(`/ok${target}?q`), null, `/ok${target}?q`);
  });
}

t.test('the query stays as it came, byte for byte', async (t) => {
  for (const query of ['?', '?a=b', '?%41=%2e%2E&x=../..//\\;%00', '?a?b', '?\'"<>[]{}|^`']) {
    t.strictSame(normalizeTarget(`/a${query}`), { path: '/a', query });
  }
});

t.test('a query of octets that may not stand in a request is refused', async (t) => {
  for (const query of ['?a b', '?é', '?a\0', '?a\n', '?a\r\nx: y', '?\x7f', '?a#b']) {
    t.equal(normalizeTarget(`/a${query}`), null, JSON.stringify(query));
  }
});
