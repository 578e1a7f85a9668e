import t from 'tap';
import { type AccessRules, type Caller, checkAccess } from '../../src/access/caller.ts';
import { SidecarError } from '../../src/base/errors.ts';

const RULES: AccessRules = {
  viaSocket: false,
  listenHost: '127.0.0.1',
  allowedHosts: [],
  allowedOrigins: [],
  tokens: null,
  certificates: null,
};

function allows(
  host: string | undefined,
  changes: Partial<AccessRules> = {},
  localAddress?: string,
): boolean {
  const caller: Caller = {
    local: true,
    host,
    origin: undefined,
    encrypted: false,
    localAddress,
    secFetchSite: undefined,
    authorization: undefined,
    sidecarToken: undefined,
    certificate: null,
  };
  try {
    checkAccess(caller, { level: 'open', fromOwnPage: false }, { ...RULES, ...changes });
    return true;
  } catch (error) {
    if (error instanceof SidecarError && error.code === 'AUTH_HOST_NOT_ALLOWED') return false;
    throw error;
  }
}

t.test('loopback by name and address is allowed, with any port', async (t) => {
  const hosts = ['127.0.0.1', '127.8.8.8', 'localhost', 'LOCALHOST', '[::1]', '[::ffff:127.0.0.1]'];
  for (const host of hosts) {
    t.ok(allows(host), host);
    t.ok(allows(`${host}:8787`), `${host}:8787`);
  }
});

t.test('a name that was pointed at this machine is refused', async (t) => {
  const hosts = ['evil.example', 'evil.example:8787', 'localhost.evil.example', '127.0.0.1.nip.io'];
  for (const host of [...hosts, '0.0.0.0', '10.0.0.1', '[::]', '[::2]', 'localhost.']) {
    t.notOk(allows(host), host);
  }
});

t.test('a missing or malformed Host is refused', async (t) => {
  const userinfo = ['localhost@evil.example', 'evil.example@localhost', 'user:pw@127.0.0.1'];
  const lists = ['localhost, evil.example', 'localhost evil.example', 'localhost/evil'];
  const shapes = ['', ' ', '::1', '[::1', '::1]', '[::1]x', 'localhost:', 'localhost:123456'];
  const ports = ['localhost:80:80', 'localhost:http', 'http://localhost', ' localhost', '[]'];
  t.notOk(allows(undefined));
  for (const host of [...userinfo, ...lists, ...shapes, ...ports]) t.notOk(allows(host), host);
});

t.test('the listening address is allowed, IPv6 in brackets too', async (t) => {
  t.ok(allows('10.1.2.3:8787', { listenHost: '10.1.2.3' }));
  t.ok(allows('sidecar.internal', { listenHost: 'Sidecar.Internal' }));
  t.ok(allows('[fd00::5]:8787', { listenHost: 'fd00::5' }));
  t.notOk(allows('[fd00::6]:8787', { listenHost: 'fd00::5' }));
});

t.test('allowedHosts adds exact names, in any letter case, for any port', async (t) => {
  const allowedHosts = ['Sidecar.example', 'fd00::7', '[fd00::8]'];
  for (const host of ['sidecar.example', 'SIDECAR.example:80', '[fd00::7]', '[FD00::8]:1']) {
    t.ok(allows(host, { allowedHosts }), host);
  }
  for (const host of ['x.sidecar.example', 'sidecar.example.evil', 'sidecar', '[fd00::9]']) {
    t.notOk(allows(host, { allowedHosts }), host);
  }
});

t.test('an entry with a port is for that port alone', async (t) => {
  const allowedHosts = ['ui.example:8787', '[fd00::7]:8787', '10.0.0.1:8787'];
  for (const host of ['ui.example', 'UI.example', '[fd00::7]', '[FD00:0::7]', '10.0.0.1']) {
    t.ok(allows(`${host}:8787`, { allowedHosts }), host);
    t.notOk(allows(`${host}:8788`, { allowedHosts }), host);
    t.notOk(allows(host, { allowedHosts }), host);
  }
});

t.test('a Host without a port is for the default ones', async (t) => {
  for (const port of [80, 443]) t.ok(allows('ui', { allowedHosts: [`ui:${port}`] }), `${port}`);
  t.notOk(allows('ui', { allowedHosts: ['ui:8080'] }));
});

t.test('IPv6 addresses are compared as addresses', async (t) => {
  t.ok(allows('[fd00::1]', { allowedHosts: ['fd00:0:0:0::1'] }));
  t.ok(allows('[FD00:0:0:0:0:0:0:1]:80', { listenHost: 'fd00::1' }));
});

t.test('behind a Unix socket the name means nothing', async (t) => {
  for (const host of [undefined, 'anything', '']) t.ok(allows(host, { viaSocket: true }));
});

t.test('behind a wildcard, the address that the client reached is the listening one', async (t) => {
  const wildcard = { listenHost: '0.0.0.0' };
  t.ok(allows('10.1.2.3:8787', wildcard, '10.1.2.3'));
  t.ok(allows('10.1.2.3:8787', wildcard, '::ffff:10.1.2.3'));
  t.ok(allows('[fd00::5]:8787', wildcard, 'fd00::5'));
  t.notOk(allows('10.1.2.4:8787', wildcard, '10.1.2.3'));
  t.notOk(allows('evil.example:8787', wildcard, '10.1.2.3'));
});
