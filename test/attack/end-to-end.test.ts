import fc from 'fast-check';
import t from 'tap';
import { normalizeTarget } from '../../src/access/path.ts';
import { DEFAULT_ROUTES, matchRoute } from '../../src/proxy/routes.ts';
import { holdsAsync } from '../helpers/property.ts';
import { type Seen, startGuardedSidecar, TOKEN } from './guarded-sidecar.ts';
import { exchangeRaw } from './raw-exchange.ts';

const SCHEMES: Record<string, string> = {
  assertion: 'AgentAssertion',
  bearer: 'Bearer',
  none: 'none',
};
/** The upstream may see these once, from the sidecar itself. */
const INJECTED = ['authorization', 'chatgpt-account-id', 'host', 'connection'];
const KEPT = ['x-kept', 'X-Kept', 'accept', 'originator'];

const path = fc.oneof(
  fc.constantFrom(
    ...['/backend-api/codex/responses', '/backend-api/codex/responses/compact'],
    ...['/backend-api/codex/models', '/backend-api/wham/usage', '/backend-api/wham/remote/control'],
    ...['/backend-api/wham/agent-identities/jwks', '/backend-api/%63odex/responses'],
    ...['/backend-api/codex/Responses', '/backend-api/codex/responses.', '/backend-api/codex/x/..'],
    ...['/backend-api/wham/remote/Control/x', '/backend-api/wham/%72emote/control', '/nowhere'],
  ),
  fc
    .array(fc.constantFrom('codex', 'wham', 'remote', 'control', '..', '%2e', 'x%2fy', 'a;b', 'A.'))
    .map((names) => `/backend-api/${names.join('/')}`),
);
const query = fc.constantFrom('', '?', '?a=%2e%2e/..&b', '?authorization=x');
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS');

const spelling = fc.constantFrom<(name: string) => string>(
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.replaceAll('-', '_'),
);
const octet = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f);
const value = fc.array(octet, { maxLength: 8 }).map((codes) => String.fromCharCode(...codes));
const line = fc.oneof(
  fc.tuple(fc.constantFrom(...KEPT), value),
  fc.tuple(
    fc
      .tuple(fc.constantFrom('authorization', 'cookie', 'chatgpt-account-id', 'via'), spelling)
      .map(([name, spell]) => spell(name)),
    value,
  ),
  fc.tuple(
    fc.constant('Connection'),
    fc.constantFrom('keep-alive', 'x-kept', 'authorization, chatgpt-account-id', 'Accept'),
  ),
);
const request = fc.record({ path, query, method, headers: fc.array(line, { maxLength: 8 }) });

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function textOf({ method, path, query, headers }: Request): string {
  const lines = headers.map(([name, text]) => `${name}: ${text}\r\n`).join('');
  const given = `host: localhost\r\nx-sidecar-token: ${TOKEN}\r\n`;
  return `${method} ${path}${query} HTTP/1.1\r\n${given}${lines}\r\n`;
}

/** Throws when what the upstream saw is not what the rule for the request allows. */
function judge(sent: Request, seen: Seen[]): void {
  const target = normalizeTarget(sent.path + sent.query);
  const rule = target && matchRoute(DEFAULT_ROUTES, sent.method, target.path, false);
  if (!target || !rule || rule.auth === 'deny') {
    if (seen.length > 0) throw new Error(`${seen[0]?.line} reached the upstream`);
    return;
  }
  const [only] = seen;
  if (!only || seen.length > 1) throw new Error(`${seen.length} requests reached the upstream`);
  // A key of the client in the query stays here.
  const query = target.query.includes('authorization') ? '' : target.query;
  const line = `${sent.method} ${target.path}${query}`;
  if (only.line !== line) throw new Error(`${only.line} in place of ${line}`);
  const received = matchRoute(DEFAULT_ROUTES, sent.method, only.line.split(/[ ?]/)[1] ?? '', false);
  if (received !== rule) throw new Error(`another rule matches ${only.line}`);
  judgeHeaders(sent, only, SCHEMES[rule.auth] ?? '');
}

function judgeHeaders({ headers }: Request, { rawHeaders, auth }: Seen, scheme: string): void {
  const pairs = rawHeaders.flatMap((name, i) => (i % 2 ? [] : [[name, rawHeaders[i + 1] ?? '']]));
  const named = headers
    .filter(([name]) => name === 'Connection')
    .flatMap(([, list]) => list.toLowerCase().split(', '));
  const kept = headers.filter(
    ([name]) => KEPT.includes(name) && !named.includes(name.toLowerCase()),
  );
  const others = pairs.filter(
    ([name = '']) => !INJECTED.includes(name) && name !== 'content-length',
  );
  if (JSON.stringify(others) !== JSON.stringify(kept)) throw new Error(JSON.stringify(others));
  const credentials = pairs.filter(([name]) => name === 'authorization');
  if (auth !== scheme || credentials.length !== (scheme === 'none' ? 0 : 1)) {
    throw new Error(`${credentials.length} credentials, ${auth} in place of ${scheme}`);
  }
}

t.test('the upstream sees the one request and the one credential of its rule', async (t) => {
  const stand = await startGuardedSidecar(t);
  let reached = 0;
  await holdsAsync(
    t,
    fc.asyncProperty(request, async (sent) => {
      const before = stand.seen.length;
      const { answers } = await exchangeRaw(stand.dial(), textOf(sent));
      if (answers.length !== 1) throw new Error(`${answers.length} answers`);
      const seen = stand.seen.slice(before);
      reached += seen.length;
      judge(sent, seen);
    }),
    { numRuns: 200 },
  );
  t.ok(reached > 60, `${reached} requests reached it`);
  t.strictSame(stand.broken, []);
});
