import t from 'tap';
import { Secret } from '../../src/base/secret.ts';
import { upstreamHeaders } from '../../src/proxy/headers.ts';

// Section by section: credentials and routing of OpenAI, of HTTP, of proxies, of one hop.
const NEVER = [
  'Authorization',
  'X-OpenAI-Agent-Assertion',
  'ChatGPT-Account-ID',
  'X-OpenAI-Fedramp',
  'X-OpenAI-Actor-Authorization',
  'X-OpenAI-Account-Routing-Override',
  'OpenAI-Organization',
  'OpenAI-Project',
  'Cookie',
  'Proxy-Authorization',
  'X-Sidecar-Token',
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Anything',
  'X-Real-IP',
  'Via',
  'CF-Connecting-IP',
  'CF-Anything',
  'True-Client-IP',
  'Host',
  'Expect',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'Proxy-Connection',
  'X-HTTP-Method-Override',
  'X-Original-URL',
  'ChatGPT_Account_ID',
  'X_Forwarded_For',
  'X-OpenAI_Fedramp',
];

for (const name of NEVER) {
  for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
    t.test(`${spelling} is removed`, async (t) => {
      t.strictSame(upstreamHeaders([spelling, 'x', 'Accept', '*/*'], null), ['Accept', '*/*']);
    });
  }
}

t.test('connection goes, with every header that it names', async (t) => {
  const raw = ['X-One', '1', 'Connection', 'close, X-One ,x-TWO', 'x-two', '2', 'x-three', '3'];
  t.strictSame(upstreamHeaders(raw, null), ['x-three', '3']);
});

t.test('several connection headers count together', async (t) => {
  const raw = ['connection', 'x-one', 'x-one', '1', 'CONNECTION', 'x-two', 'x-two', '2'];
  t.strictSame(upstreamHeaders(raw, null), []);
});

t.test('the rest keeps its order, spelling and repetition', async (t) => {
  const raw = [
    'Accept',
    'b',
    'X-Codex-Turn-State',
    ' ü',
    'accept',
    'a',
    'originator',
    'codex_exec',
  ];
  t.strictSame(upstreamHeaders(raw, null), raw);
});

t.test('names that only resemble removed ones stay', async (t) => {
  const raw = ['x-forwarded', '1', 'cfx', '2', 'authorization-x', '3', 'x-host', '4', 'vias', '5'];
  t.strictSame(upstreamHeaders(raw, null), raw);
});

t.test('the credential comes after the scrub, account and FedRAMP where they apply', async (t) => {
  const authorization = new Secret('Bearer secret');
  const plain = { authorization, assertion: null, accountId: null, fedramp: false };
  const client = ['authorization', 'Bearer client', 'chatgpt-account-id', 'client'];
  t.strictSame(upstreamHeaders(client, plain), ['authorization', 'Bearer secret']);
  t.strictSame(upstreamHeaders(client, { ...plain, accountId: 'acc', fedramp: true }), [
    ...['authorization', 'Bearer secret'],
    ...['chatgpt-account-id', 'acc'],
    ...['x-openai-fedramp', 'true'],
  ]);
  const assertion = new Secret('1.a.b.c');
  const own = ['x-openai-agent-assertion', '1.of.the.client'];
  t.strictSame(upstreamHeaders(own, { ...plain, assertion }), [
    ...['authorization', 'Bearer secret'],
    ...['x-openai-agent-assertion', '1.a.b.c'],
  ]);
});

t.test('connection cannot remove the credential', async (t) => {
  const credential = {
    authorization: new Secret('Bearer secret'),
    assertion: new Secret('1.a.b.c'),
    accountId: 'acc',
    fedramp: false,
  };
  const raw = ['connection', 'authorization, x-openai-agent-assertion, chatgpt-account-id'];
  t.strictSame(upstreamHeaders(raw, credential), [
    ...['authorization', 'Bearer secret'],
    ...['x-openai-agent-assertion', '1.a.b.c'],
    ...['chatgpt-account-id', 'acc'],
  ]);
});

t.test('with a credential only codings are asked for that we can decode', async (t) => {
  const authorization = new Secret('Bearer x');
  const credential = { authorization, assertion: null, accountId: null, fedramp: false };
  const asked = (value: string) => upstreamHeaders(['Accept-Encoding', value], credential)[1];
  for (const value of ['gzip', 'gzip, br', 'identity', 'br;q=0.5', '']) {
    t.equal(asked(value), value, 'as it came');
  }
  t.equal(asked('dcz, gzip;q=0.8, compress'), 'gzip;q=0.8');
  t.equal(asked('*'), 'identity');
  t.equal(asked('DCB,Snappy'), 'identity');
  t.strictSame(upstreamHeaders(['Accept-Encoding', '*'], null), ['Accept-Encoding', '*']);
});
