import t from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { resolveConfig } from '../../src/config/resolve.ts';

const URL_KEYS = [
  'chatgptBaseUrl',
  'openaiBaseUrl',
  'authApiBaseUrl',
  'jwksBaseUrl',
  'oauthIssuer',
  'oauthTokenUrl',
  'oauthRevokeUrl',
];

const withUrl = (key: string, value: unknown) => () =>
  resolveConfig({ upstream: { [key]: value } });

for (const key of URL_KEYS) {
  t.test(`${key} is https, or plain http on loopback`, async (t) => {
    const plain = new ConfigError(
      `upstream.${key} must use https; plain http is for loopback hosts only`,
    );
    for (const host of ['chatgpt.com', '10.0.0.1', 'localhost.example.com', '128.0.0.1', '[::2]']) {
      t.throws(withUrl(key, `http://${host}/x`), plain, host);
    }
    for (const host of ['127.0.0.1', '127.9.9.9:80', 'localhost:1', '[::1]:8080']) {
      t.doesNotThrow(withUrl(key, `http://${host}/x`), host);
    }
    t.doesNotThrow(withUrl(key, 'https://example.com/x'));
  });

  t.test(`${key} is a URL of place alone`, async (t) => {
    for (const value of [' ', 'chatgpt.com', 'ftp://example.com', 'file:///etc/passwd']) {
      t.throws(withUrl(key, value), new ConfigError(`upstream.${key} must be an https URL`), value);
    }
    const parts = ['https://:hush@a.b/', 'https://me@a.b/', 'https://a.b/?q', 'https://a.b/#f'];
    for (const value of parts) {
      t.throws(withUrl(key, value), {
        message: `upstream.${key} must not hold a user, a password, a query or a fragment`,
      });
    }
  });
}

t.test('the outgoing proxy is "env", nothing, or a web URL that is never shown', async (t) => {
  for (const proxy of ['env', null, 'http://proxy:3128', 'https://proxy']) {
    t.equal(resolveConfig({ upstream: { proxy } }).upstream.proxy, proxy);
  }
  for (const proxy of ['socks5://u:hush@proxy', 'proxy:3128', 'ENV']) {
    t.throws(() => resolveConfig({ upstream: { proxy } }), {
      message: 'upstream.proxy must be "env", null, or an http or https URL',
    });
  }
});

t.test('a user or password of the proxy stays out of the configuration', async (t) => {
  for (const proxy of ['https://u:hush@proxy', 'http://hush@proxy:3128', 'http://:hush@proxy']) {
    t.throws(() => resolveConfig({ upstream: { proxy } }), {
      message:
        'upstream.proxy must not hold a user or a password; leave it at "env" and set HTTPS_PROXY',
    });
  }
});

t.test('slashes at the end of a base URL are cut', async (t) => {
  const keys = URL_KEYS.filter((key) => key.endsWith('BaseUrl'));
  for (const [given, kept] of [
    ['https://a.b/c/', 'https://a.b/c'],
    ['https://a.b//', 'https://a.b'],
    ['https://a.b/c', 'https://a.b/c'],
  ]) {
    const values = Object.fromEntries(keys.map((key) => [key, given]));
    t.match(
      resolveConfig({ upstream: values }).upstream,
      Object.fromEntries(keys.map((key) => [key, kept])),
    );
  }
  t.equal(keys.length, 4);
  const oauthTokenUrl = 'https://a.b/token/';
  t.equal(resolveConfig({ upstream: { oauthTokenUrl } }).upstream.oauthTokenUrl, oauthTokenUrl);
});
