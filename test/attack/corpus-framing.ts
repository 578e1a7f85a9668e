import { MODELS, RESPONSES } from '../helpers/sidecar.ts';
import { GIVEN, type Group, HOST, INVALID, inference, models, post } from './corpus.ts';

// A blank around a value may be a tab (RFC 9110, section 5.6.3). The parser of Node.js 20 refuses one
// behind a length; from llhttp 9.4 on it is taken, and the length goes up without it.
const parser = process.versions.llhttp ?? '';
const TAB_IS_BLANK = parser.localeCompare('9.4', 'en', { numeric: true }) >= 0;

const length = (value: string, body = 'hello') => post(`content-length: ${value}\r\n`, body);
const encoded = (value: string, body = '0\r\n\r\n') =>
  post(`transfer-encoding: ${value}\r\n`, body);
const chunks = (body: string) => post('transfer-encoding: chunked\r\n', body);
const HIDDEN = `GET /backend-api/codex/hidden HTTP/1.1\r\n${GIVEN}\r\n`;

const lengths: Group = {
  reason: 'two servers could disagree on where the body ends',
  entries: [
    {
      name: 'the same length twice',
      text: post('content-length: 5\r\ncontent-length: 5\r\n', 'hello'),
      expected: INVALID,
    },
    {
      name: 'two lengths',
      text: post('content-length: 5\r\ncontent-length: 6\r\n', 'hello'),
      expected: INVALID,
    },
    {
      name: 'two lengths in two spellings',
      text: post('Content-Length: 0\r\ncontent-length: 5\r\n', 'hello'),
      expected: INVALID,
    },
    { name: 'a list of lengths', text: length('5, 5'), expected: INVALID },
    { name: 'a plus', text: length('+5'), expected: INVALID },
    { name: 'a minus', text: length('-5'), expected: INVALID },
    { name: 'minus nothing', text: length('-0', ''), expected: INVALID },
    { name: 'hexadecimal', text: length('0x5'), expected: INVALID },
    { name: 'a fraction', text: length('5.0'), expected: INVALID },
    { name: 'an exponent', text: length('5e0'), expected: INVALID },
    { name: 'a word', text: length('five'), expected: INVALID },
    { name: 'no value', text: length(''), expected: INVALID },
    { name: 'a space inside', text: length('1 0', '0123456789'), expected: INVALID },
    { name: 'more than 64 bits', text: length('18446744073709551621'), expected: INVALID },
    { name: 'other digits', text: length('\xd9\xa5'), expected: INVALID },
    { name: 'NUL behind', text: length('5\0'), expected: INVALID },
    { name: 'a vertical tab before', text: length('\x0b5'), expected: INVALID },
    {
      name: 'a space before the colon',
      text: post('content-length : 5\r\n', 'hello'),
      expected: INVALID,
    },
    { name: 'folded', text: post('content-length:\r\n 5\r\n', 'hello'), expected: INVALID },
    { name: 'zeros in front', text: length('005'), expected: inference('hello') },
    {
      name: 'a tab behind',
      text: length('5\t'),
      expected: TAB_IS_BLANK ? inference('hello') : INVALID,
    },
    { name: 'spaces around', text: length('  5 '), expected: inference('hello') },
    {
      name: 'an underscore is another header',
      text: post('content_length: 99\r\ncontent-length: 5\r\n', 'hello'),
      expected: inference('hello'),
    },
    {
      name: 'named by connection',
      text: post('connection: content-length\r\ncontent-length: 5\r\n', 'hello'),
      expected: inference('hello'),
    },
    {
      name: 'a request inside the body',
      text: length(String(HIDDEN.length), HIDDEN),
      expected: inference(HIDDEN),
    },
    {
      name: 'a body on a GET',
      text: `GET ${MODELS} HTTP/1.1\r\n${GIVEN}content-length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      expected: { ...(models as object), body: HIDDEN } as typeof models,
    },
    { name: 'less than announced', text: length('6'), expected: INVALID, hangUp: true },
  ],
};

const encodings: Group = {
  reason: 'a transfer coding that one server knows and another does not',
  entries: [
    {
      name: 'length and chunks',
      text: post('content-length: 5\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'chunks and length',
      text: post('transfer-encoding: chunked\r\ncontent-length: 5\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'chunks and no length at all',
      text: post('transfer-encoding: chunked\r\ncontent-length: 0\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'a space before the colon',
      text: post('transfer-encoding : chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'a tab before the colon',
      text: post('transfer-encoding\t: chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'a space before the name',
      text: post(' transfer-encoding: chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'folded',
      text: post('transfer-encoding:\r\n chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    { name: 'a vertical tab', text: encoded('\x0bchunked'), expected: INVALID },
    { name: 'a form feed behind', text: encoded('chunked\x0c'), expected: INVALID },
    { name: 'NUL behind', text: encoded('chunked\0'), expected: INVALID },
    { name: 'a soft hyphen', text: encoded('chun\xadked'), expected: INVALID },
    { name: 'identity', text: encoded('identity', ''), expected: INVALID },
    {
      name: 'identity and a length',
      text: post('transfer-encoding: identity\r\ncontent-length: 5\r\n', 'hello'),
      expected: INVALID,
    },
    { name: 'chunked twice', text: encoded('chunked, chunked'), expected: INVALID },
    {
      name: 'two headers',
      text: post('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'chunked and identity',
      text: post('transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n', '0\r\n\r\n'),
      expected: INVALID,
    },
    { name: 'chunked not last', text: encoded('chunked, gzip'), expected: INVALID },
    { name: 'gzip below', text: encoded('gzip, chunked'), expected: INVALID },
    { name: 'an empty element', text: encoded(',chunked'), expected: INVALID },
    { name: 'an unknown coding', text: encoded('xchunked'), expected: INVALID },
    { name: 'half a name', text: encoded('chunk'), expected: INVALID },
    { name: 'a parameter', text: encoded('chunked;q=1'), expected: INVALID },
    { name: 'in quotes', text: encoded('"chunked"'), expected: INVALID },
    { name: 'no value', text: encoded('', ''), expected: INVALID },
    {
      name: 'in HTTP/1.0',
      text: `POST ${RESPONSES} HTTP/1.0\r\n${GIVEN}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      expected: INVALID,
    },
    {
      name: 'in HTTP/1.0 kept alive',
      text: `POST ${RESPONSES} HTTP/1.0\r\n${GIVEN}connection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      expected: INVALID,
    },
    {
      name: 'in upper case',
      text: encoded('CHUNKED', '3\r\nabc\r\n0\r\n\r\n'),
      expected: inference('abc'),
    },
    {
      name: 'a tab before the value',
      text: post('transfer-encoding:\tchunked\r\n', '3\r\nabc\r\n0\r\n\r\n'),
      expected: inference('abc'),
    },
    {
      name: 'named by connection',
      text: post(
        'connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n',
        '3\r\nabc\r\n0\r\n\r\n',
      ),
      expected: inference('abc'),
    },
    {
      name: 'an underscore is another header',
      text: post('transfer_encoding: chunked\r\ncontent-length: 3\r\n', 'abc'),
      expected: inference('abc'),
    },
    {
      name: 'a request behind the last chunk of another',
      text: chunks(`0\r\n\r\n`),
      expected: inference(''),
    },
  ],
};

const chunking: Group = {
  reason: 'a chunk whose size can be read in two ways',
  entries: [
    { name: '0x in front', text: chunks('0x3\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'a minus', text: chunks('-3\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'a plus', text: chunks('+3\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'no size', text: chunks('\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'no digits', text: chunks('xyz\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    {
      name: 'more than 64 bits',
      text: chunks('10000000000000003\r\nabc\r\n0\r\n\r\n'),
      expected: INVALID,
    },
    { name: 'a space behind', text: chunks('3 \r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'a space before', text: chunks(' 3\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'LF alone', text: chunks('3\nabc\n0\n\n'), expected: INVALID },
    { name: 'CR alone', text: chunks('3\rabc\r0\r\r'), expected: INVALID },
    { name: 'too small', text: chunks('2\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'too large', text: chunks('4\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    {
      name: 'nothing between two',
      text: chunks('3\r\nabc3\r\nabc\r\n0\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: 'LF in an extension',
      text: chunks(`3;a\n${HIDDEN}\r\nabc\r\n0\r\n\r\n`),
      expected: INVALID,
    },
    { name: 'CR in an extension', text: chunks('3;a\rb\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    { name: 'NUL in an extension', text: chunks('3;a\0\r\nabc\r\n0\r\n\r\n'), expected: INVALID },
    {
      name: '20 KiB of extensions',
      text: chunks(`3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`),
      expected: INVALID,
    },
    {
      name: 'a broken trailer',
      text: chunks('3\r\nabc\r\n0\r\nno trailer\r\n\r\n'),
      expected: INVALID,
    },
    {
      name: '70 KiB of trailers',
      text: chunks(`3\r\nabc\r\n0\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(70)}\r\n`),
      expected: INVALID,
    },
    {
      name: 'an extension is dropped',
      text: chunks('3;a=b\r\nabc\r\n0;c\r\n\r\n'),
      expected: inference('abc'),
    },
    {
      name: 'zeros in front',
      text: chunks('0003\r\nabc\r\n000\r\n\r\n'),
      expected: inference('abc'),
    },
    {
      name: 'a trailer is dropped',
      text: chunks('3\r\nabc\r\n0\r\nauthorization: Bearer evil\r\n\r\n'),
      expected: inference('abc'),
    },
    { name: 'no end', text: chunks('3\r\nabc\r\n'), expected: INVALID, hangUp: true },
  ],
};

const nothing: Group = {
  reason: 'a request that never gets as far as its headers',
  entries: [
    { name: 'nothing at all', text: '', expected: 'closed', hangUp: true },
    { name: 'empty lines', text: '\r\n\r\n\r\n', expected: 'closed', hangUp: true },
    { name: 'half a request line', text: `GET ${MODELS}`, expected: INVALID, hangUp: true },
    {
      name: 'half the headers',
      text: `GET ${MODELS} HTTP/1.1\r\n${HOST}`,
      expected: INVALID,
      hangUp: true,
    },
  ],
};

export const FRAMING: Record<string, Group> = { lengths, encodings, chunking, nothing };
