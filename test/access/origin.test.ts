import t from 'tap';
import { type Caller, checkAccess } from '../../src/access/caller.ts';
import { SidecarError } from '../../src/base/errors.ts';

function allows(
  headers: Partial<Pick<Caller, 'origin' | 'secFetchSite'>>,
  allowedOrigins: string[] = [],
  viaSocket = false,
): boolean {
  const caller: Caller = {
    local: true,
    host: 'localhost',
    origin: undefined,
    encrypted: false,
    localAddress: undefined,
    secFetchSite: undefined,
    authorization: undefined,
    sidecarToken: undefined,
    certificate: null,
    ...headers,
  };
  const rules = {
    viaSocket,
    listenHost: '127.0.0.1',
    allowedHosts: [],
    allowedOrigins,
    tokens: null,
    certificates: null,
  };
  try {
    checkAccess(caller, { level: 'open', fromOwnPage: false }, rules);
    return true;
  } catch (error) {
    if (error instanceof SidecarError && error.code === 'AUTH_ORIGIN_NOT_ALLOWED') return false;
    throw error;
  }
}

t.test('programs send neither header and are allowed', async (t) => {
  t.ok(allows({}));
});

t.test('every Origin is refused by default, on a socket too', async (t) => {
  const own = ['http://localhost:8787', 'http://127.0.0.1'];
  for (const origin of ['https://evil.example', 'null', '', ...own]) {
    t.notOk(allows({ origin }), origin);
    t.notOk(allows({ origin }, [], true), origin);
    t.notOk(allows({ origin, secFetchSite: 'none' }), origin);
  }
});

t.test('allowedOrigins adds exact origins', async (t) => {
  const allowed = ['https://ui.example'];
  t.ok(allows({ origin: 'https://ui.example', secFetchSite: 'cross-site' }, allowed));
  const others = ['https://ui.example:444', 'http://ui.example', 'https://ui.example.evil'];
  for (const origin of [...others, 'https://UI.example/']) t.notOk(allows({ origin }, allowed));
});

t.test('a page that hides its Origin is known by Sec-Fetch-Site', async (t) => {
  for (const site of ['cross-site', 'same-site', 'same-origin', '', 'none, cross-site', 'None']) {
    t.notOk(allows({ secFetchSite: site }), site);
  }
  t.ok(allows({ secFetchSite: 'none' }), 'an address that a person typed');
});
