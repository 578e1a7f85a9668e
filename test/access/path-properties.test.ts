import fc from 'fast-check';
import t from 'tap';
import { normalizeTarget } from '../../src/access/path.ts';
import { DEFAULT_ROUTES, matchRoute } from '../../src/proxy/routes.ts';
import { holds } from '../helpers/property.ts';

const RUNS = { numRuns: 5_000 };

/** Pieces of which attacks are made, and ordinary names. */
const piece = fc.constantFrom(
  ...['/', '//', '.', '..', '%2e', '%2E', '%2f', '%5C', '\\', ';', '%3b', '%00', '\0', '%', '%25'],
  ...['%252e', '%c0%ae', '%ff', '%u002e', '%20', ' ', '%7f', '#', '?', 'é', '%C3%A9', '@', ':'],
  ...['backend-api', 'wham', 'remote', 'control', 'codex', 'responses', 'REMOTE', '%72emote', 'a'],
);
const target = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
  fc.array(piece, { maxLength: 8 }).map((pieces) => `/backend-api/wham/${pieces.join('')}`),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }).map((text) => `/${text}`),
  fc.webPath().map((path) => path || '/'),
);

t.test('a target is refused, or its normal form is stable', async (t) => {
  holds(
    t,
    fc.property(target, (text) => {
      const normal = normalizeTarget(text);
      if (!normal) return;
      const again = normalizeTarget(normal.path + normal.query);
      if (again?.path !== normal.path || again.query !== normal.query) throw new Error('unstable');
    }),
    RUNS,
  );
});

t.test('the normal form has nothing that two servers read differently', async (t) => {
  holds(
    t,
    fc.property(target, (text) => {
      const { path = '/' } = normalizeTarget(text) ?? {};
      if (!/^\/(?:[!$&'()*+,\-./0-9:=@A-Z_a-z~]|%[2-9A-F][0-9A-F])*$/.test(path)) {
        throw new Error(`an octet that does not belong there: ${path}`);
      }
      if (/%(?:2F|5C|3B|25|7F|00)/.test(path)) throw new Error(`an encoded separator: ${path}`);
      const segments = path === '/' ? [] : path.slice(1).split('/');
      for (const segment of segments) {
        const decoded = decodeURIComponent(segment);
        if (['', '.', '..'].includes(decoded) || /[/\\;%\0]/.test(decoded)) {
          throw new Error(`a segment: ${segment}`);
        }
      }
    }),
    RUNS,
  );
});

t.test('decoding it once more, as a backend does, leads to the same path', async (t) => {
  holds(
    t,
    fc.property(target, (text) => {
      const normal = normalizeTarget(text);
      if (!normal) return;
      const url = new URL(`http://upstream${normal.path}`);
      if (url.host !== 'upstream' || url.pathname !== normal.path) throw new Error(url.href);
    }),
    RUNS,
  );
});

t.test('the query does not change, and nothing moves between the two', async (t) => {
  holds(
    t,
    fc.property(target, fc.string({ maxLength: 20 }), (text, query) => {
      const whole = `${text.replace(/\?.*/s, '')}?${query}`;
      const normal = normalizeTarget(whole);
      if (!normal) return;
      if (normal.query !== `?${query}` || normal.path.includes('?')) throw new Error(normal.path);
      if (/[\r\n\0 #]/.test(normal.query)) throw new Error(`a query: ${normal.query}`);
    }),
    RUNS,
  );
});

const DENIED = ['/backend-api/wham/remote/control', '/backend-api/wham/remote/control/x/y'];
const ASSERTED = ['/backend-api/codex/responses', '/backend-api/codex/responses/compact'];

/** One letter of a path in another spelling. */
const mutation = fc.constantFrom<(letter: string) => string>(
  (letter) => letter,
  (letter) => letter.toUpperCase(),
  (letter) => `%${letter.charCodeAt(0).toString(16)}`,
  (letter) => `%${letter.toUpperCase().charCodeAt(0).toString(16).toUpperCase()}`,
  (letter) => `%25${letter.charCodeAt(0).toString(16)}`,
  (letter) => (letter === '/' ? '//' : letter),
  (letter) => (letter === '/' ? '/./' : letter),
  (letter) => (letter === '/' ? '/x/../' : letter),
  (letter) => (letter === '/' ? '/x/%2e%2E/' : letter),
  (letter) => (letter === '/' ? './' : letter),
  (letter) => (letter === '/' ? '%20/' : letter),
  (letter) => (letter === '/' ? ';/' : letter),
  (letter) => (letter === '/' ? '\\' : letter),
);
const ending = fc.constantFrom(...['', '', '', '/', '.', '..', '%2e', '%20', '%00', ';a', '/.']);

function respelled(paths: string[]) {
  return fc.constantFrom(...paths).chain((path) =>
    fc
      .tuple(
        // Mostly as it is, so that many mutations survive the normalisation.
        fc.array(fc.tuple(fc.nat(path.length - 1), mutation), { maxLength: 4 }),
        ending,
      )
      .map(([changes, end]) => {
        const letters = [...path];
        for (const [at, change] of changes) letters[at] = change(letters[at] ?? '');
        return letters.join('') + end;
      }),
  );
}

function ruleOf(text: string, method: string) {
  const normal = normalizeTarget(text);
  return normal && matchRoute(DEFAULT_ROUTES, method, normal.path, false);
}

t.test('no spelling of a denied route reaches a rule that allows it', async (t) => {
  const method = fc.constantFrom('GET', 'POST', 'DELETE');
  let survivors = 0;
  holds(
    t,
    fc.property(respelled(DENIED), method, (text, verb) => {
      const rule = ruleOf(text, verb);
      if (rule) survivors++;
      if (rule && rule.auth !== 'deny') throw new Error(`${rule.auth}: ${text}`);
    }),
    RUNS,
  );
  t.ok(survivors > RUNS.numRuns / 20, `${survivors} spellings were not refused by their form`);
});

t.test('no spelling of an assertion route gets a bearer', async (t) => {
  let survivors = 0;
  holds(
    t,
    fc.property(respelled(ASSERTED), (text) => {
      const rule = ruleOf(text, 'POST');
      if (rule) survivors++;
      if (rule && rule.auth !== 'assertion') throw new Error(`${rule.auth}: ${text}`);
    }),
    RUNS,
  );
  t.ok(survivors > RUNS.numRuns / 20, `${survivors} spellings were not refused by their form`);
});
