import { METHODS } from 'node:http';
import t from 'tap';
import { type Case, startConformance } from '../helpers/conformance.ts';
import { MODELS, RESPONSES } from '../helpers/sidecar.ts';

const compare = await startConformance(t);

const head = (start: string, ...lines: string[]) =>
  [`${start} HTTP/1.1`, 'Host: localhost', ...lines, '\r\n'].join('\r\n');
const get = (...lines: string[]) => head(`GET ${MODELS}`, ...lines);

// Every octet that may stand in a query (RFC 3986, section 3.4), and those that are sent all the same.
const QUERY = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('');
const TOKEN = "!#$%&'*+-.^_`|~09azAZ";
// Octets of a field value: HTAB, SP, VCHAR, obs-text (RFC 9110, section 5.5).
const VALUE = `a\t ${QUERY}#${Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('')}`;

const CASES: Record<string, Case> = {
  ...Object.fromEntries(
    METHODS.filter((method) => !['CONNECT', 'TRACE', 'SOURCE'].includes(method)).map((method) => [
      method,
      { request: head(`${method} /backend-api/x`) },
    ]),
  ),
  'a query of every octet': { request: head(`GET ${MODELS}?${QUERY.replace('#', '')}`) },
  'an empty query': { request: head(`GET ${MODELS}?`) },
  'a query with encoded octets': {
    request: head(`GET ${MODELS}?%00%2f%2F%c3%28&a=%zz&a=a&%`),
  },
  'a path of 16 KiB': { request: head(`GET /backend-api/${'long/'.repeat(3200)}x`) },
  'a query of 60 KB': { request: head(`GET ${MODELS}?${'q'.repeat(60_000)}`) },
  'sub-delimiters in the path': { request: head("GET /backend-api/!$&'()*+,=:@-._~") },
  'a header of every octet': { request: get(`x-value: ${VALUE}`) },
  'a name of every kind of character': { request: get(`${TOKEN}: value`) },
  'an empty value': { request: get('x-empty:', 'x-blank:    ', 'x-last: 1') },
  'blanks around values': { request: get('x-a:no', 'x-b: \t both \t ', 'x-c: in  side') },
  'UTF-8 in a value': { request: get('x-codex-turn-metadata: {"a":"\u00c3\u00bc"}') },
  'names in every spelling': {
    request: get('ACCEPT: a', 'accept: b', 'aCCept: c', 'X-CODEX-Beta-Features: d'),
  },
  'repeated headers apart from each other': {
    request: get('x-a: 1', 'x-b: 2', 'X-A: 3', 'x-a: 1', 'accept: a', 'x-b:', 'accept: a'),
  },
  'headers of which Node keeps one': {
    request: get(
      ...['user-agent: a', 'User-Agent: b', 'content-type: a/b', 'content-type: c/d'],
      ...['age: 1', 'age: 2', 'etag: "1"', 'etag: "2"', 'referer: a', 'referer: b'],
    ),
  },
  'a header of 60 KB': { request: get(`x-long: ${'v'.repeat(60_000)}`) },
  '200 headers': { request: get(...Array.from({ length: 200 }, (_, i) => `x-${i}: ${i}`)) },
  'every header that may not go up': {
    request: get(
      ...['Authorization: Bearer c', 'x-openai-agent-assertion: c', 'ChatGPT-Account-ID: c'],
      ...['X-OpenAI-Fedramp: true', 'x-openai-actor-authorization: c', 'Cookie: a=c; b=c'],
      ...['x-openai-account-routing-override: c', 'OpenAI-Organization: c', 'OpenAI-Project: c'],
      ...['proxy-authorization: Basic c', 'x-sidecar-token: c', 'forwarded: for=c', 'via: c'],
      ...['X-Forwarded-For: c', 'x-forwarded-proto: c', 'x-forwarded-anything: c'],
      ...['x-real-ip: c', 'CF-Connecting-IP: c', 'cf-ray: c', 'true-client-ip: c'],
      ...['TE: trailers', 'keep-alive: timeout=5', 'proxy-connection: keep-alive'],
      ...['connection: X-Named, keep-alive', 'x-named: c', 'connection: x-other', 'x-other: c'],
      'x-kept: c',
    ),
  },
  'headers with names close to those': {
    request: get('authorizations: a', 'x-forwarded: b', 'cf: c', 'cookies: d', 'x-via: e'),
  },
  'headers of a Codex request': {
    request: head(
      `POST ${RESPONSES}`,
      ...['originator: codex_exec', 'user-agent: codex_exec/0.169.0 (Debian 12.0.0; x86_64)'],
      ...['version: 0.169.0', 'OpenAI-Beta: responses=experimental', 'session-id: s'],
      ...['thread-id: t', 'x-client-request-id: r', 'x-codex-turn-metadata: {"a":1}'],
      ...['x-codex-window-id: w', 'x-codex-beta-features: a,b', 'x-codex-turn-state: s'],
      ...['accept: text/event-stream', 'content-type: application/json', 'content-length: 0'],
    ),
  },
  'an old client': { request: `GET ${MODELS} HTTP/1.0\r\nHost: localhost\r\n\r\n` },
  'an upgrade that is none': {
    request: get('connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: x'),
  },
  'octet by octet': { request: [...get('x-slow: yes')] },
  'split inside a name, a value and a line end': {
    request: ['GE', `T ${MODELS}?a`, '=b HTTP/1.1\r', '\nho', 'st: local', 'host\r\n', '\r', '\n'],
  },
};

for (const [name, example] of Object.entries(CASES)) t.test(name, (t) => compare(t, example));
