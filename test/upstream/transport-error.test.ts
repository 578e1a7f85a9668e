import t from 'tap';
import { errors } from 'undici';
import { SidecarError } from '../../src/base/errors.ts';
import { ProxyError } from '../../src/upstream/proxy-error.ts';
import { upstreamError } from '../../src/upstream/transport-error.ts';

const ORIGIN = 'https://upstream.example';

function withCode(code: string): Error {
  return Object.assign(new Error('text of a foreign error'), { code });
}

function codeOf(error: unknown): string {
  return upstreamError(error, ORIGIN).code;
}

const CODES: Record<string, string[]> = {
  UPSTREAM_TLS: [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'UND_ERR_PRX_TLS',
  ],
  UPSTREAM_TIMEOUT: ['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'],
  UPSTREAM_UNREACHABLE: ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_SOCKET'],
};

for (const [expected, codes] of Object.entries(CODES)) {
  for (const code of codes) {
    t.test(`${code} is ${expected}`, async (t) => {
      const error = upstreamError(withCode(code), ORIGIN);
      t.equal(error.code, expected);
      t.match(error.message, ORIGIN);
      t.notMatch(error.message, 'text of a foreign error');
      // A certificate does not mend itself; the others may pass.
      t.equal(error.retryAfterSeconds, expected === 'UPSTREAM_TLS' ? null : 1);
    });
  }
}

t.test('the code is found in what wraps it', async (t) => {
  t.equal(codeOf(new AggregateError([withCode('ETIMEDOUT'), withCode('X')])), 'UPSTREAM_TIMEOUT');
  t.equal(codeOf(new Error('outer', { cause: withCode('CERT_HAS_EXPIRED') })), 'UPSTREAM_TLS');
  t.equal(codeOf(new errors.ConnectTimeoutError('timeout')), 'UPSTREAM_TIMEOUT');
});

t.test('an error without a code is a failure to reach the upstream', async (t) => {
  t.equal(codeOf(new Error('anything')), 'UPSTREAM_UNREACHABLE');
  t.equal(codeOf(new AggregateError([])), 'UPSTREAM_UNREACHABLE');
});

t.test('a process without a free descriptor is busy, and says what to raise', async (t) => {
  for (const error of [
    withCode('EMFILE'),
    withCode('ENFILE'),
    new ProxyError('EMFILE', 'text', withCode('EMFILE')),
    new AggregateError([withCode('EMFILE'), withCode('ECONNREFUSED')]),
  ]) {
    const { code, message } = upstreamError(error, ORIGIN);
    t.equal(code, 'UPSTREAM_BUSY');
    t.match(message, /no file descriptor is free.*ulimit -n/);
  }
});

t.test("an error of the sidecar's own stays what it is", async (t) => {
  const error = new SidecarError('AUTH_BODY_TOO_LARGE', 'too large');
  t.equal(upstreamError(error, ORIGIN), error);
});
