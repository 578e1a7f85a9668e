import t from 'tap';
import { resolveConfig } from '../../src/config/resolve.ts';

const good = { methods: ['POST'], path: '/backend-api/codex/responses', auth: 'assertion' };
const withRule = (change: object) => () => resolveConfig({ routes: [{ ...good, ...change }] });

t.test('accepts exact paths, prefixes, any method and the upgrade', async (t) => {
  for (const path of [
    '/backend-api/x',
    '/backend-api/*',
    '/backend-api/a.b/c-d/*',
    '/backend-api/*/x',
  ]) {
    t.doesNotThrow(withRule({ path }), path);
  }
  for (const methods of [['*'], ['GET+upgrade', 'POST'], ['DELETE']]) {
    t.doesNotThrow(withRule({ methods }), methods.join());
  }
  for (const auth of ['assertion', 'bearer', 'none', 'deny']) {
    t.equal(withRule({ auth })().routes?.[0]?.auth, auth);
  }
});

t.test('refuses a path that no request could match', async (t) => {
  const problem = /^routes\.0\.path is not valid: Exact path below \/backend-api\//;
  const paths = [
    '/x',
    'backend-api/x',
    '/backend-api/',
    '/backend-api//x',
    '/backend-api/x/',
    '/backend-api/../x',
    '/backend-api/a/./b',
    '/backend-api/a/..',
    '/backend-api/a*/x',
    '/backend-api/a*',
    '/backend-api/x*',
    '/backend-api/a%2fb',
    '/backend-api/a?b',
  ];
  for (const path of paths) t.throws(withRule({ path }), problem, path);
  t.doesNotThrow(withRule({ path: '/backend-api/..a/.b/c...' }), 'dots inside a name');
});

t.test('refuses other rules that are not whole, naming the place', async (t) => {
  t.throws(withRule({ methods: ['get'] }), /^routes\.0\.methods\.0 is not valid: Upper case/);
  t.throws(withRule({ methods: [] }), /^routes\.0\.methods must NOT have fewer than 1 items/);
  t.throws(withRule({ methods: 'GET' }), /^routes\.0\.methods must be array/);
  t.throws(withRule({ auth: 'beer' }), /^routes\.0\.auth must be one of assertion, bearer, none/);
  t.throws(withRule({ auth: undefined }), /^routes\.0 must have required property 'auth'/);
  t.throws(() => resolveConfig({ routes: [5] }), /^routes\.0 must be object/);
  t.throws(() => resolveConfig({ routes: {} }), /^routes must be array or null/);
});
