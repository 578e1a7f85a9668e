import t from 'tap';
import { isLocal, parseServers, placeOf } from '../../src/auth-store/postgres-url.ts';

t.test('one server a line, with escapes', async (t) => {
  const [first, second, ...others] = parseServers(
    'postgres://us%40er:p%2Fw@db.internal/auth\n\npostgresql://u@[::1]:6000/a\n',
  );
  t.match(first, { host: 'db.internal', port: 5432, user: 'us@er', database: 'auth' });
  t.equal(first.password?.reveal(), 'p/w');
  t.match(second, { host: '::1', port: 6000, user: 'u', password: null });
  t.strictSame(others, []);
  t.equal(placeOf(first), 'db.internal:5432/auth');
});

t.test('TLS is for whatever leaves the machine', async (t) => {
  const local = (url: string) => isLocal(parseServers(url)[0]);
  t.equal(local('postgres://u:p@127.0.0.1/a'), true);
  t.equal(local('postgres://u:p@localhost/a'), true);
  t.equal(local('postgres://u:p@%2Frun%2Fpostgresql/a'), true);
  t.equal(local('postgres://u:p@10.0.0.7/a'), false);
  t.equal(local('postgres://u:p@db/a'), false);
});

const WRONG: [text: string, message: RegExp][] = [
  ['', /the file is empty/],
  ['hush', /line 1 is not a postgres URL/],
  ['mysql://u:hush@h/a', /line 1 is not a postgres URL/],
  ['postgres://u:hush@h/a?sslmode=disable', /line 1 has parameters, which are not taken/],
  ['postgres://h/hush', /line 1 names no user/],
  ['postgres://u:hush@h', /line 1 names no database/],
  ['postgres://u:hush%zz@h/a', /line 1 has a percent sign/],
  ['postgres://u:p@h/a\npostgres:hush', /line 2 names no host/],
];
for (const [text, message] of WRONG) {
  t.test(`refused: ${message.source}`, async (t) => {
    t.throws(() => parseServers(text), { name: 'ConfigError', message });
    t.throws(() => parseServers(text), { message: /^SIDECAR_STORE_URL_FILE: (?!.*hush)/ });
  });
}
