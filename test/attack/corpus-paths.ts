import { RESPONSES } from '../helpers/sidecar.ts';
import { BAD_PATH, DENIED, type Entry, type Expected, GIVEN, INVALID } from './corpus.ts';

/** Spellings of the path `/stem/name`; what follows `?` in a name says how it is to be read. */
const REFUSED: [name: string, spell: (stem: string, name: string) => string][] = [
  ['a dot segment', (stem, name) => `${stem}/./${name}`],
  ['a step back', (stem, name) => `${stem}/x/../${name}`],
  ['a step back, encoded', (stem, name) => `${stem}/x/%2e%2e/${name}`],
  ['a step back, half encoded', (stem, name) => `${stem}/x/.%2E/${name}`],
  ['a step back, encoded twice', (stem, name) => `${stem}/x/%252e%252e/${name}`],
  ['a step back behind a parameter', (stem, name) => `${stem}/x/..;/${name}`],
  ['a step back, overlong', (stem, name) => `${stem}/x/%c0%ae%c0%ae/${name}`],
  ['a step back, fullwidth', (stem, name) => `${stem}/x/%u002e%u002e/${name}`],
  ['a dot segment at the end', (stem, name) => `${stem}/${name}/.`],
  ['a step back at the end', (stem, name) => `${stem}/${name}/x/..`],
  ['an empty segment', (stem, name) => `${stem}//${name}`],
  ['a slash at the end', (stem, name) => `${stem}/${name}/`],
  ['an encoded slash', (stem, name) => `${stem}%2f${name}`],
  ['an encoded slash at the end', (stem, name) => `${stem}/${name}%2F`],
  ['a slash encoded twice', (stem, name) => `${stem}%252f${name}`],
  ['an overlong slash', (stem, name) => `${stem}%c0%af${name}`],
  ['a backslash', (stem, name) => `${stem}\\${name}`],
  ['an encoded backslash', (stem, name) => `${stem}%5c${name}`],
  ['a parameter', (stem, name) => `${stem}/${name};x=y`],
  ['an encoded parameter', (stem, name) => `${stem}/${name}%3bx`],
  ['a parameter before', (stem, name) => `${stem};x/${name}`],
  ['NUL', (stem, name) => `${stem}/${name}%00`],
  ['NUL and an ending', (stem, name) => `${stem}/${name}%00.html`],
  ['an encoded CRLF', (stem, name) => `${stem}/${name}%0d%0ax:%20y`],
  ['a tab, encoded', (stem, name) => `${stem}/${name}%09`],
  ['DEL', (stem, name) => `${stem}/${name}%7f`],
  ['a letter encoded twice', (stem, name) => `${stem}/${twice(name)}`],
  ['broken encoding', (stem, name) => `${stem}/${name}%`],
  ['half an octet', (stem, name) => `${stem}/${name}%4`],
  ['an octet that is no UTF-8', (stem, name) => `${stem}/${name}%ff`],
];

/** What the parser itself refuses. */
const UNPARSABLE: typeof REFUSED = [
  ['8 bits', (stem, name) => `${stem}/${name}\xe9`],
  ['a bare NUL', (stem, name) => `${stem}/${name}\0`],
  ['a space', (stem, name) => `${stem}/${name} x`],
];

/** A backend may take these for the route, so they must not fall to a later rule. */
const DOUBTFUL: typeof REFUSED = [
  ['upper case', (stem, name) => `${stem}/${name.toUpperCase()}`],
  [
    'one letter in upper case',
    (stem, name) => `${stem}/${name.charAt(0).toUpperCase()}${name.slice(1)}`,
  ],
  ['upper case, encoded', (stem, name) => `${stem}/${encode(name.toUpperCase())}`],
  ['a dot at the end', (stem, name) => `${stem}/${name}.`],
  ['dots at the end', (stem, name) => `${stem}/${name}...`],
  ['an encoded dot at the end', (stem, name) => `${stem}/${name}%2e`],
  ['a dot at the end of its folder', (stem, name) => `${stem}./${name}`],
  ['a space at the end', (stem, name) => `${stem}/${name}%20`],
];

/** Other spellings of the same path: they go the same way, in normal form. */
const SAME: typeof REFUSED = [
  ['as it is', (stem, name) => `${stem}/${name}`],
  ['a letter encoded', (stem, name) => `${stem}/${encode(name)}`],
  [
    'everything encoded',
    (stem, name) =>
      `/${[...`${stem}/${name}`.slice(1)].map((letter) => (letter === '/' ? letter : encode(letter))).join('')}`,
  ],
];

interface Route {
  title: string;
  method: string;
  stem: string;
  name: string;
  /** What becomes of the route itself. */
  expected: Expected;
}

const ROUTES: Route[] = [
  {
    title: 'the inference route',
    method: 'POST',
    stem: '/backend-api/codex',
    name: 'responses',
    expected: { forwarded: `POST ${RESPONSES}`, auth: 'AgentAssertion', body: '' },
  },
  {
    title: 'the compaction route',
    method: 'POST',
    stem: '/backend-api/codex/responses',
    name: 'compact',
    expected: { forwarded: `POST ${RESPONSES}/compact`, auth: 'AgentAssertion', body: '' },
  },
  {
    title: 'a denied folder',
    method: 'GET',
    stem: '/backend-api/wham/remote',
    name: 'control',
    expected: DENIED,
  },
  {
    title: 'a denied path',
    method: 'POST',
    stem: '/backend-api/wham/remote/control',
    name: 'server',
    expected: DENIED,
  },
];

const HANDSHAKE =
  'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

function entriesOf({ title, method, stem, name, expected }: Route, upgrade: boolean): Entry[] {
  const reason = 'a spelling that one server takes for the route and another does not';
  const make = (spellings: typeof REFUSED, outcome: Expected): Entry[] =>
    spellings.map(([how, spell]) => ({
      name: `${title}${upgrade ? ', upgrade' : ''}: ${how}`,
      reason,
      text: `${upgrade ? 'GET' : method} ${spell(stem, name)} HTTP/1.1\r\n${GIVEN}${upgrade ? HANDSHAKE : ''}\r\n`,
      expected: outcome,
    }));
  return [
    ...make(REFUSED, BAD_PATH),
    ...make(UNPARSABLE, INVALID),
    ...make(DOUBTFUL, DENIED),
    ...make(SAME, expected),
  ];
}

export const PATHS: Entry[] = ROUTES.flatMap((route) => entriesOf(route, false));

/** The routes that an upgrade may ask for. */
export const UPGRADE_PATHS: Entry[] = ROUTES.filter(({ name }) => name !== 'compact').flatMap(
  (route) =>
    entriesOf(
      typeof route.expected === 'object' && 'forwarded' in route.expected
        ? {
            ...route,
            expected: { forwarded: `GET ${RESPONSES}`, auth: 'AgentAssertion', status: 426 },
          }
        : route,
      true,
    ),
);

function encode(text: string): string {
  return [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('');
}

function twice(text: string): string {
  return `${encode(text.charAt(0)).replace('%', '%25')}${text.slice(1)}`;
}
