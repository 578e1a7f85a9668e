import t from 'tap';
import { codexUsesProxy, noProxyEntry } from '../../src/commands/codex/proxy-variables.ts';

const SIDECAR = 'http://127.0.0.1:4610/backend-api/codex';
const NAMED = 'http://sidecar.example.com:4610/';

const CASES: [string, string, boolean][] = [
  [SIDECAR, '', true],
  [SIDECAR, '127.0.0.1', false],
  [SIDECAR, 'a, 127.0.0.1 ,b', false],
  [SIDECAR, 'a 127.0.0.1', true],
  [SIDECAR, '127.0.0.1:4610', true],
  [SIDECAR, '127.0.0.0/8', false],
  [SIDECAR, '127.0.0.0/99', true],
  [SIDECAR, '10.0.0.0/8', true],
  [SIDECAR, '0.0.1', true],
  [SIDECAR, 'localhost', true],
  [SIDECAR, '*', false],
  [SIDECAR, 'a,*', false],
  [NAMED, 'sidecar.example.com', false],
  [NAMED, 'example.com', false],
  [NAMED, '.Example.com', false],
  [NAMED, 'car.example.com', true],
  [NAMED, 'sidecar.example.com:4610', true],
  [NAMED, '*.example.com', true],
  [NAMED, ',', true],
  ['http://[::1]:4610/', '::1', false],
  ['http://[::1]:4610/', '127.0.0.1', true],
];

for (const [url, noProxy, expected] of CASES) {
  t.test(`NO_PROXY=${noProxy} for ${url}`, async (t) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const env = { http_proxy: 'http://p:1', [name]: noProxy };
      t.equal(codexUsesProxy(env, new URL(url)), expected, name);
    }
  });
}

t.test('without a proxy no list matters', async (t) => {
  t.equal(codexUsesProxy({ NO_PROXY: '' }, new URL(SIDECAR)), false);
});

t.test('NO_PROXY wins over no_proxy, also when it is empty', async (t) => {
  const env = { ALL_PROXY: 'http://p:1', NO_PROXY: '', no_proxy: '*' };
  t.equal(codexUsesProxy(env, new URL(SIDECAR)), true);
});

t.test('the entry that is proposed exempts the host', async (t) => {
  for (const text of [SIDECAR, NAMED, 'http://[::1]:4610/']) {
    const url = new URL(text);
    const env = { ALL_PROXY: 'http://p:1', NO_PROXY: noProxyEntry(url) };
    t.equal(codexUsesProxy(env, url), false, text);
  }
});
