import { MODELS } from '../helpers/sidecar.ts';
import {
  ask,
  BAD_HOST,
  BAD_PATH,
  DENIED,
  type Expected,
  GIVEN,
  type Group,
  get,
  INVALID,
  models,
} from './corpus.ts';
import { TOKEN } from './guarded-sidecar.ts';

const asMethod = (method: string): Expected => ({
  forwarded: `${method} ${MODELS}`,
  auth: 'Bearer',
});

const WITH_TOKEN = `x-sidecar-token: ${TOKEN}\r\n`;
const methods: Group = {
  reason: 'a method that is none, or that another server might take for another',
  entries: [
    { name: 'lower case', text: ask(`get ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: 'mixed case', text: ask(`Get ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: '8 bits', text: ask(`G\xc5T ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: 'NUL inside', text: ask(`GE\0T ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: 'invented', text: ask(`BREW ${MODELS} HTTP/1.1`), expected: INVALID },
    {
      name: 'longer than one that exists',
      text: ask(`GETT ${MODELS} HTTP/1.1`),
      expected: INVALID,
    },
    { name: 'a space before', text: ask(` GET ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: 'a tab before', text: ask(`\tGET ${MODELS} HTTP/1.1`), expected: INVALID },
    { name: 'very long', text: ask(`${'G'.repeat(70_000)} ${MODELS} HTTP/1.1`), expected: INVALID },
    {
      name: 'TRACE, which would show the credential',
      text: ask(`TRACE ${MODELS} HTTP/1.1`),
      expected: DENIED,
    },
    { name: 'of WebDAV', text: ask(`PROPFIND ${MODELS} HTTP/1.1`), expected: asMethod('PROPFIND') },
    { name: 'PURGE', text: ask(`PURGE ${MODELS} HTTP/1.1`), expected: asMethod('PURGE') },
    { name: 'CONNECT with a path', text: ask(`CONNECT ${MODELS} HTTP/1.1`), expected: DENIED },
    {
      name: 'CONNECT to another host',
      text: ask('CONNECT evil.example:443 HTTP/1.1'),
      expected: DENIED,
    },
    {
      name: 'replaced by a header',
      text: get('x-http-method-override: DELETE\r\n'),
      expected: models,
    },
  ],
};

const targets: Group = {
  reason: 'a target that names another host, or none',
  entries: [
    { name: 'absolute', text: ask(`GET http://localhost${MODELS} HTTP/1.1`), expected: BAD_PATH },
    {
      name: 'absolute, another host',
      text: ask(`GET http://evil.example${MODELS} HTTP/1.1`),
      expected: BAD_PATH,
    },
    {
      name: 'absolute, https',
      text: ask(`GET https://evil.example${MODELS} HTTP/1.1`),
      expected: BAD_PATH,
    },
    {
      name: 'absolute, an endpoint of its own',
      text: ask('GET http://evil.example/livez HTTP/1.1'),
      expected: BAD_PATH,
    },
    {
      name: 'absolute, with a user',
      text: ask(`GET http://localhost@evil.example${MODELS} HTTP/1.1`),
      expected: BAD_PATH,
    },
    { name: 'absolute, no host', text: ask(`GET http://${MODELS} HTTP/1.1`), expected: BAD_PATH },
    {
      name: 'absolute, another scheme',
      text: ask('GET file:///etc/passwd HTTP/1.1'),
      expected: BAD_PATH,
    },
    { name: 'authority', text: ask('GET evil.example:443 HTTP/1.1'), expected: INVALID },
    { name: 'without a slash', text: ask(`GET ${MODELS.slice(1)} HTTP/1.1`), expected: INVALID },
    { name: 'an asterisk', text: ask('OPTIONS * HTTP/1.1'), expected: BAD_PATH },
    { name: 'an asterisk for GET', text: ask('GET * HTTP/1.1'), expected: BAD_PATH },
    { name: 'two slashes', text: ask(`GET //evil.example${MODELS} HTTP/1.1`), expected: BAD_PATH },
    { name: 'a backslash', text: ask('GET /\\evil.example HTTP/1.1'), expected: BAD_PATH },
    { name: 'an at sign', text: ask('GET @evil.example/ HTTP/1.1'), expected: INVALID },
    { name: 'none', text: ask('GET  HTTP/1.1'), expected: INVALID },
    { name: 'a fragment', text: ask(`GET ${MODELS}#x HTTP/1.1`), expected: BAD_PATH },
    { name: 'a space', text: ask('GET /backend-api/codex /models HTTP/1.1'), expected: INVALID },
    { name: 'a CR', text: ask('GET /backend-api/codex\r/models HTTP/1.1'), expected: INVALID },
    {
      name: 'a path in a header',
      text: get('x-original-url: /backend-api/wham/remote/control/x\r\nx-rewrite-url: /x\r\n'),
      expected: models,
    },
    {
      name: 'too long',
      text: ask(`GET ${MODELS}?${'x'.repeat(70_000)} HTTP/1.1`),
      expected: INVALID,
    },
    {
      name: '60 KiB',
      text: ask(`GET ${MODELS}?${'x'.repeat(60_000)} HTTP/1.1`),
      expected: {
        ...(models as object),
        forwarded: `GET ${MODELS}?${'x'.repeat(60_000)}`,
      } as Expected,
    },
  ],
};

const versions: Group = {
  reason: 'another protocol, or another version of this one',
  entries: [
    {
      name: 'HTTP/0.9',
      text: `GET ${MODELS}\r\n\r\n`,
      expected: INVALID,
    },
    { name: 'HTTP/1.0', text: `GET ${MODELS} HTTP/1.0\r\n${GIVEN}\r\n`, expected: models },
    {
      name: 'HTTP/1.0 without Host',
      text: `GET ${MODELS} HTTP/1.0\r\n${WITH_TOKEN}\r\n`,
      expected: BAD_HOST,
      viaSocket: models,
    },
    { name: 'HTTP/1.2', text: ask(`GET ${MODELS} HTTP/1.2`), expected: INVALID },
    { name: 'HTTP/2.0', text: ask(`GET ${MODELS} HTTP/2.0`), expected: INVALID },
    { name: 'HTTP/9.9', text: ask(`GET ${MODELS} HTTP/9.9`), expected: INVALID },
    { name: 'in lower case', text: ask(`GET ${MODELS} http/1.1`), expected: INVALID },
    { name: 'without a minor version', text: ask(`GET ${MODELS} HTTP/1`), expected: INVALID },
    { name: 'zeros', text: ask(`GET ${MODELS} HTTP/01.01`), expected: INVALID },
    { name: 'something behind', text: ask(`GET ${MODELS} HTTP/1.1 x`), expected: INVALID },
    {
      name: 'the preface of HTTP/2',
      text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
      expected: INVALID,
    },
    { name: 'TLS', text: '\x16\x03\x01\0\x05\x01\0\0\x01\x03', expected: INVALID },
    { name: 'RTSP', text: ask('DESCRIBE rtsp://localhost/x RTSP/1.0'), expected: INVALID },
    { name: 'ICE', text: ask(`SOURCE ${MODELS} ICE/1.0`), expected: DENIED },
    { name: 'SMTP', text: 'EHLO localhost\r\n', expected: INVALID },
    { name: 'Redis', text: '*1\r\n$4\r\nPING\r\n', expected: INVALID },
    { name: 'noise', text: '\xff\xfe\xfd\0\x01\x02\r\n\r\n', expected: INVALID },
    { name: 'LF alone', text: `GET ${MODELS} HTTP/1.1\nhost: localhost\n\n`, expected: INVALID },
    { name: 'CR alone', text: `GET ${MODELS} HTTP/1.1\rhost: localhost\r\r`, expected: INVALID },
    { name: 'tabs in the request line', text: ask(`GET\t${MODELS}\tHTTP/1.1`), expected: INVALID },
    { name: 'empty lines before', text: `\r\n\r\n${get('')}`, expected: models },
    { name: 'two spaces', text: ask(`GET ${MODELS}  HTTP/1.1`), expected: models },
  ],
};

export const MESSAGES: Record<string, Group> = { methods, targets, versions };
