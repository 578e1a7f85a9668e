import fc from 'fast-check';
import t from 'tap';
import { Secret } from '../../src/base/secret.ts';
import {
  downstreamHeaders,
  type InjectedHeaders,
  upstreamHeaders,
} from '../../src/proxy/headers.ts';
import { holds } from '../helpers/property.ts';

const RUNS = { numRuns: 3_000 };

const FORBIDDEN = [
  ...['authorization', 'x-openai-agent-assertion', 'chatgpt-account-id', 'x-openai-fedramp'],
  ...['x-openai-actor-authorization', 'x-openai-account-routing-override', 'openai-organization'],
  ...['openai-project', 'cookie', 'proxy-authorization', 'x-sidecar-token', 'forwarded', 'via'],
  ...['x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'cf-ray', 'true-client-ip', 'host'],
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'expect', 'x-original-url', 'x-http-method-override'],
];
const KEPT = [
  'accept',
  'user-agent',
  'originator',
  'x-codex-turn-state',
  'content-type',
  'x-a',
  'x-b',
];

/** Any letter in either case; hyphens may be underscores where that is given. */
function spelled(names: string[], underscores: boolean) {
  return fc
    .tuple(fc.constantFrom(...names), fc.infiniteStream(fc.boolean()))
    .map(([name, coins]) => {
      const respell = (letter: string) => {
        const heads = coins.next().value;
        if (letter === '-' && underscores && heads) return '_';
        return heads ? letter.toUpperCase() : letter;
      };
      return [...name].map(respell).join('');
    });
}

const octet = fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f);
const value = fc.array(octet, { maxLength: 12 }).map((codes) => String.fromCharCode(...codes));
const connection = fc
  .array(fc.oneof(spelled([...KEPT, ...FORBIDDEN], false), fc.constantFrom('', ' ', 'close')), {
    maxLength: 3,
  })
  .map((names) => names.join(', '));
const line = fc.oneof(
  fc.tuple(spelled(FORBIDDEN, true), value),
  fc.tuple(spelled(KEPT, false), value),
  fc.tuple(fc.constantFrom('Connection', 'connection', 'CONNECTION'), connection),
);
const lines = fc.array(line, { maxLength: 15 });
const credential = fc.oneof(
  fc.constant(null),
  fc.record({
    authorization: fc
      .constantFrom('Bearer rule', 'AgentAssertion rule')
      .map((text) => new Secret(text)),
    assertion: fc.option(fc.constant(new Secret('1.a.b.c'))),
    accountId: fc.option(fc.constant('account-of-the-rule')),
    fedramp: fc.boolean(),
  }),
);

const pairs = (flat: string[]): [string, string][] =>
  flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as [string, string]] : []));
const canonical = (name: string) => name.toLowerCase().replaceAll('_', '-');

function injectedBy(headers: InjectedHeaders | null): [string, string][] {
  if (!headers) return [];
  const { authorization, assertion, accountId, fedramp } = headers;
  return [
    ['authorization', authorization.reveal()],
    ...(assertion ? [['x-openai-agent-assertion', assertion.reveal()] as [string, string]] : []),
    ...(accountId === null ? [] : [['chatgpt-account-id', accountId] as [string, string]]),
    ...(fedramp ? [['x-openai-fedramp', 'true'] as [string, string]] : []),
  ];
}

t.test('the upstream gets the credential of the rule, and no other', async (t) => {
  holds(
    t,
    fc.property(lines, credential, (raw, given) => {
      const sent = pairs(upstreamHeaders(raw.flat(), given));
      const forbidden = sent.filter(([name]) => FORBIDDEN.includes(canonical(name)));
      if (JSON.stringify(forbidden) !== JSON.stringify(injectedBy(given))) {
        throw new Error(JSON.stringify(forbidden));
      }
    }),
    RUNS,
  );
});

t.test(
  'whatever connection names is gone but what describes the content, the rest keeps order, spelling and octets',
  async (t) => {
    holds(
      t,
      fc.property(lines, credential, (raw, given) => {
        const named = raw
          .filter(([name]) => name.toLowerCase() === 'connection')
          .flatMap(([, list]) => list.split(',').map((name) => name.trim().toLowerCase()))
          .filter((name) => !name.startsWith('content-'));
        const kept = raw.filter(
          ([name]) => KEPT.includes(name.toLowerCase()) && !named.includes(name.toLowerCase()),
        );
        const sent = pairs(upstreamHeaders(raw.flat(), given));
        const wanted = [...kept, ...injectedBy(given)];
        if (JSON.stringify(sent) !== JSON.stringify(wanted)) throw new Error(JSON.stringify(sent));
      }),
      RUNS,
    );
  },
);

t.test('scrubbing what was scrubbed changes nothing', async (t) => {
  holds(
    t,
    fc.property(lines, (raw) => {
      const once = upstreamHeaders(raw.flat(), null);
      if (String(upstreamHeaders(once, null)) !== String(once)) throw new Error(String(once));
    }),
    RUNS,
  );
});

const NEVER_DOWN = ['set-cookie', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te'];

t.test('an answer brings no cookie and nothing of its hop; the rest as it came', async (t) => {
  const name = fc.oneof(spelled(NEVER_DOWN, false), spelled(KEPT, false));
  const answer = fc.array(fc.tuple(name, value), { maxLength: 12 });
  holds(
    t,
    fc.property(answer, (raw) => {
      const octets = raw.flat().map((text) => Buffer.from(text, 'latin1'));
      const named = raw
        .filter(([key]) => key.toLowerCase() === 'connection')
        .flatMap(([, list]) =>
          list
            .toLowerCase()
            .split(',')
            .map((option) => option.trim()),
        );
      const wanted = raw.filter(
        ([key]) => KEPT.includes(key.toLowerCase()) && !named.includes(key.toLowerCase()),
      );
      const passed = pairs(downstreamHeaders(octets, 200));
      if (JSON.stringify(passed) !== JSON.stringify(wanted))
        throw new Error(JSON.stringify(passed));
    }),
    RUNS,
  );
});
