import { MODELS } from '../helpers/sidecar.ts';
import {
  BAD_HOST,
  GIVEN,
  type Group,
  get,
  HOST,
  INVALID,
  inference,
  models,
  post,
} from './corpus.ts';
import { TOKEN } from './guarded-sidecar.ts';

const WITH_TOKEN = `x-sidecar-token: ${TOKEN}\r\n`;
const hosts = (...lines: string[]) =>
  `GET ${MODELS} HTTP/1.1\r\n${WITH_TOKEN}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

const host: Group = {
  reason: 'a page whose name was pointed here, or a proxy that reads another Host',
  entries: [
    { name: 'none', text: hosts(), expected: BAD_HOST, viaSocket: models },
    { name: 'empty', text: hosts('host:'), expected: BAD_HOST, viaSocket: models },
    { name: 'another', text: hosts('host: evil.example'), expected: BAD_HOST, viaSocket: models },
    { name: 'twice', text: hosts('host: localhost', 'host: localhost'), expected: INVALID },
    {
      name: 'a good and a bad',
      text: hosts('host: localhost', 'Host: evil.example'),
      expected: INVALID,
    },
    {
      name: 'a bad and a good',
      text: hosts('host: evil.example', 'host: localhost'),
      expected: INVALID,
    },
    {
      name: 'a list',
      text: hosts('host: localhost, evil.example'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a user',
      text: hosts('host: localhost@evil.example'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a user and a port',
      text: hosts('host: localhost:80@evil.example'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a port that is none',
      text: hosts('host: localhost:x'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'two ports',
      text: hosts('host: localhost:80:80'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a suffix',
      text: hosts('host: localhost.evil.example'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'an address as a name',
      text: hosts('host: 127.0.0.1.nip.io'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a dot behind',
      text: hosts('host: localhost.'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a path',
      text: hosts('host: localhost/evil.example'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    {
      name: 'a decimal address',
      text: hosts('host: 2130706433'),
      expected: BAD_HOST,
      viaSocket: models,
    },
    { name: 'all addresses', text: hosts('host: 0.0.0.0'), expected: BAD_HOST, viaSocket: models },
    { name: '8 bits', text: hosts('host: localhost\xad'), expected: BAD_HOST, viaSocket: models },
    { name: 'a space before the colon', text: hosts('host : localhost'), expected: INVALID },
    { name: 'folded', text: hosts('host:', ' localhost'), expected: INVALID },
    {
      name: 'forwarded',
      text: hosts('host: evil.example', 'x-forwarded-host: localhost'),
      expected: BAD_HOST,
      viaSocket: models,
    },
  ],
};

const headers: Group = {
  reason: 'one header that another server reads as two, or as the end of them',
  entries: [
    { name: 'CR in a value', text: get('x: a\rauthorization: b\r\n'), expected: INVALID },
    { name: 'LF in a value', text: get('x: a\nauthorization: b\r\n'), expected: INVALID },
    { name: 'NUL in a value', text: get('x: a\0b\r\n'), expected: INVALID },
    { name: 'a control in a value', text: get('x: a\x01b\r\n'), expected: INVALID },
    { name: 'DEL in a value', text: get('x: a\x7fb\r\n'), expected: INVALID },
    { name: 'a folded value', text: get('x: a\r\n authorization: b\r\n'), expected: INVALID },
    { name: 'a value folded by a tab', text: get('x: a\r\n\tb\r\n'), expected: INVALID },
    {
      name: 'a folded first line',
      text: `GET ${MODELS} HTTP/1.1\r\n x: a\r\n${GIVEN}\r\n`,
      expected: INVALID,
    },
    { name: 'CR in a name', text: get('x\ry: a\r\n'), expected: INVALID },
    { name: 'NUL in a name', text: get('x\0: a\r\n'), expected: INVALID },
    { name: '8 bits in a name', text: get('x\xe9: a\r\n'), expected: INVALID },
    { name: 'a space in a name', text: get('x y: a\r\n'), expected: INVALID },
    { name: 'brackets in a name', text: get('x(y): a\r\n'), expected: INVALID },
    { name: 'no name', text: get(': a\r\n'), expected: INVALID },
    { name: 'no colon', text: get('authorization\r\n'), expected: INVALID },
    {
      name: 'LF ends the headers',
      text: `GET ${MODELS} HTTP/1.1\r\n${GIVEN}\n`,
      expected: INVALID,
    },
    { name: 'one too large', text: get(`x: ${'y'.repeat(70_000)}\r\n`), expected: INVALID },
    {
      name: 'one that never ends',
      text: `GET ${MODELS} HTTP/1.1\r\n${GIVEN}x: ${'y'.repeat(300_000)}`,
      expected: INVALID,
    },
    {
      name: 'together too large',
      text: get(`x: ${'y'.repeat(1000)}\r\n`.repeat(70)),
      expected: INVALID,
    },
    { name: 'too many', text: get('a:b\r\n'.repeat(300)), expected: INVALID },
    {
      name: 'an origin behind too many',
      text: get(`${'a:b\r\n'.repeat(3000)}origin: https://evil.example\r\n`),
      expected: INVALID,
    },
    {
      name: 'a body behind too many',
      text: post(`${'a:b\r\n'.repeat(3000)}content-length: 5\r\n`, 'hello'),
      expected: INVALID,
    },
    {
      name: 'an expectation',
      text: post('expect: 200-ok\r\ncontent-length: 5\r\n', 'hello'),
      expected: INVALID,
    },
    {
      name: 'a content type that is none',
      text: post('content-type: ???\r\ncontent-length: 5\r\n', 'hello'),
      expected: inference('hello'),
    },
    {
      name: '100-continue',
      text: post('expect: 100-continue\r\ncontent-length: 5\r\n', 'hello'),
      expected: inference('hello'),
    },
    { name: '8 bits in a value', text: get('x: \xe9\xff\r\n'), expected: models },
    { name: 'an empty value', text: get('x:\r\n'), expected: models },
  ],
};

const credentials: Group = {
  reason: 'a credential of the client in place of that of the rule, or beside it',
  entries: [
    { name: 'a bearer', text: get('authorization: Bearer evil\r\n'), expected: models },
    {
      name: 'two',
      text: get('authorization: Bearer evil\r\nAuthorization: AgentAssertion evil\r\n'),
      expected: models,
    },
    {
      name: 'an account',
      text: get('chatgpt-account-id: evil\r\nChatGPT_Account_ID: evil\r\n'),
      expected: models,
    },
    { name: 'cookies', text: get('cookie: a=b\r\ncookie: c=d\r\n'), expected: models },
    {
      name: 'taken out by connection',
      text: get('connection: authorization, chatgpt-account-id, host\r\n'),
      expected: models,
    },
    {
      name: 'an assertion',
      text: post('x-openai-agent-assertion: evil\r\ncontent-length: 0\r\n'),
      expected: inference(''),
    },
    {
      name: 'no token',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'a token with 8 bits',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}x-sidecar-token: ${TOKEN}\xe9\r\n\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'the token twice',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}${WITH_TOKEN}${WITH_TOKEN}\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'the token in the query',
      text: `GET ${MODELS}?x-sidecar-token=${TOKEN} HTTP/1.1\r\n${HOST}\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'the token in a trailer',
      text: `POST ${MODELS} HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n0\r\n${WITH_TOKEN}\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'the token with an underscore',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}x_sidecar_token: ${TOKEN}\r\n\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'the token in Basic',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}authorization: Basic ${btoa(`x:${TOKEN}`)}\r\n\r\n`,
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'an origin',
      text: get('origin: http://localhost\r\n'),
      expected: { refused: 'AUTH_ORIGIN_NOT_ALLOWED' },
    },
    {
      name: 'the origin null',
      text: get('origin: null\r\n'),
      expected: { refused: 'AUTH_ORIGIN_NOT_ALLOWED' },
    },
    {
      name: 'a page',
      text: get('sec-fetch-site: same-origin\r\n'),
      expected: { refused: 'AUTH_ORIGIN_NOT_ALLOWED' },
    },
    {
      name: 'a page that says it is none',
      text: get('sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n'),
      expected: { refused: 'AUTH_ORIGIN_NOT_ALLOWED' },
    },
  ],
};

export const HEADERS: Record<string, Group> = { host, headers, credentials };
