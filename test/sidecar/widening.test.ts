import t from 'tap';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { wideningOf } from '../../src/sidecar/widening.ts';

const rule = (path: string, auth: string) => ({ methods: ['GET'], path, auth });

function widening(before: PartialConfig, after: PartialConfig, atStart = before) {
  return wideningOf(resolveConfig(before), resolveConfig(after), resolveConfig(atStart));
}

t.test('a reload that would ask for no client token any more is refused', async (t) => {
  const guarded = { clients: { tokensFile: '/run/tokens' } };
  const says =
    /^clients\.tokensFile is gone \(it was \/run\/tokens\), so nobody would need a token/;
  t.throws(() => widening(guarded, {}), says);
  t.throws(() => widening(guarded, { clients: {} }), says);
  t.throws(() => widening(guarded, { clients: { tokensFile: null } }), says);
});

t.test('it is said aloud where the start asked for none either', async (t) => {
  const guarded = { clients: { tokensFile: '/run/tokens' } };
  t.strictSame(widening(guarded, {}, {}), ['from now on nobody needs a client token']);
  t.strictSame(widening({}, {}), []);
  t.strictSame(widening({}, guarded), [], 'a new guard is no news');
  t.strictSame(widening(guarded, { clients: { tokensFile: '/run/other' } }), []);
});

t.test('each host, origin and route that a reload adds is named', async (t) => {
  const before = {
    clients: { allowedHosts: ['a.example'], allowedOrigins: ['https://a.example'] },
    routes: [rule('/backend-api/a', 'bearer'), rule('/backend-api/*', 'deny')],
  };
  const after = {
    clients: { allowedHosts: ['b.example'], allowedOrigins: ['https://a.example', 'https://b.c'] },
    routes: [rule('/backend-api/a', 'bearer'), rule('/backend-api/b', 'none')],
  };
  t.strictSame(widening(before, after), [
    'clients.allowedHosts now allows b.example',
    'clients.allowedOrigins now allows https://b.c',
    'routes now holds GET /backend-api/b none',
    'routes no longer holds GET /backend-api/* deny',
  ]);
  t.strictSame(widening(before, { ...before, clients: {} }), [], 'fewer are no news');
});

t.test(
  'a reload that moves a route before a denial is named, for the first match counts',
  async (t) => {
    const [open, denial] = [rule('/backend-api/a', 'bearer'), rule('/backend-api/*', 'deny')];
    t.strictSame(widening({ routes: [denial, open] }, { routes: [open, denial] }), [
      'routes now holds GET /backend-api/a bearer before GET /backend-api/* deny',
    ]);
    t.strictSame(
      widening({ routes: [open, denial] }, { routes: [denial, open] }),
      [],
      'the way back',
    );
  },
);
