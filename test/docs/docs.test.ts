import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { withVariablesTable } from '../../scripts/variables-table.ts';
import { ERROR_STATUS } from '../../src/base/errors.ts';
import {
  environmentLayer,
  unknownVariables,
  variablesInUse,
} from '../../src/config/environment.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { ConfigSchema } from '../../src/config/schema.ts';
import { KEY_HEADER_ENDINGS } from '../../src/proxy/client-keys.ts';
import { NEVER_UPSTREAM } from '../../src/proxy/headers.ts';
import { DEFAULT_ROUTES } from '../../src/proxy/routes.ts';
import { PERMITTED } from '../helpers/permitted.ts';

const REFERENCE = 'docs/reference.md';
const read = (path: string) => readFileSync(path, 'utf8');

t.test('docs/errors.md lists every code with its status, and no other', async (t) => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)];
  const documented = Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]));
  t.strictSame(documented, { ...ERROR_STATUS });
});

t.test('config.example.json shows every key with its default', async (t) => {
  t.strictSame(JSON.parse(read('config.example.json')), resolveConfig({}));
});

t.test('docs/config.schema.json is the schema that the program checks with', async (t) => {
  const { $schema, ...schema } = JSON.parse(read('docs/config.schema.json'));
  t.equal($schema, 'http://json-schema.org/draft-07/schema#');
  t.strictSame(schema, JSON.parse(JSON.stringify(ConfigSchema)));
});

t.test('the reference lists every configuration key with its default', async (t) => {
  const rows = [...read(REFERENCE).matchAll(/^\| `([a-zA-Z.]+)` \| `([^`]*)` \|/gm)];
  const documented = Object.fromEntries(rows.map(([, key, value]) => [key, value]));
  t.strictSame(documented, flatten(resolveConfig({})));
});

t.test('the reference names the variable of each key that has one', async (t) => {
  const rows = [...read(REFERENCE).matchAll(/^\| `([a-zA-Z.]+)` \| `[^`]*` \| (.*) \|$/gm)];
  const named = rows.flatMap(([, key = '', meaning = '']) =>
    // Behind the meaning, in brackets; a `SIDECAR_STORE_URL_FILE` within it sets no key.
    [...(/\(([^()]*)\)$/.exec(meaning)?.[1] ?? '').matchAll(/`([A-Z_]{6,})`/g)].map(
      ([, name = '']) => ({ key, name }),
    ),
  );
  t.ok(named.length > 10);
  for (const { key, name } of named) {
    const layer = flatten(environmentLayer({ [name]: '1' }));
    t.strictSame(Object.keys(layer), [key], name);
  }
});

t.test('the reference lists every variable, and no other', async (t) => {
  const text = read(REFERENCE);
  t.equal(text, withVariablesTable(text), 'run: npm run schema');
  // The table lists what sets a key; the text above it, what does not.
  for (const name of ['SIDECAR_CONFIG', 'SIDECAR_STORE_URL_FILE']) {
    t.strictSame(unknownVariables({ [name]: '1' }), []);
    t.match(text, `\`${name}\``);
  }
  const listed = text.matchAll(/^\| `(SIDECAR_\w+)` \|[^|]*\| `([\w.]+)` \|/gm);
  const keys = Array.from(listed, ([, name = '', key = '']) => {
    t.equal(variablesInUse({ [name]: '1' }).get(key), name);
    return key;
  });
  t.ok(keys.length > 30);
});

t.test('the reference lists the default routes', async (t) => {
  const rows = [
    ...read(REFERENCE).matchAll(/^\| ([^|`]+) \| `(\/backend-api[^`]*)` \| (\w+) \|/gm),
  ];
  const documented = rows.map(([, methods = '', path, auth]) => ({
    methods: methods
      .trim()
      .split(', ')
      .map((method) => (method === 'any' ? '*' : method)),
    path,
    auth,
  }));
  t.strictSame(documented, DEFAULT_ROUTES);
});

t.test('docs/architecture.md gives a reason for every dependency, and for no other', async (t) => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json'));
  t.equal(dependencies, undefined, 'the program brings what it needs');
  const [, section = ''] = read('docs/architecture.md').split('## Dependencies');
  const rows = section.matchAll(/^\| ([@a-z][^|]*?)(?: \([^|]*\))? \| (?!reason)[^|]+ \|$/gm);
  const documented = [...rows].flatMap(([, names = '']) => names.split(', '));
  const expected = Object.keys(devDependencies);
  t.strictSame(documented.sort(), expected.sort());
});

t.test('docs/architecture.md names files that are there', async (t) => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' });
  const text = read('docs/architecture.md');
  const names = [...text.matchAll(/`([a-z/-]+\.ts)`/g)].map(([, name = '']) => name);
  t.ok(names.length > 20);
  for (const name of names) {
    const there = sources.some((path) => path === name || path.endsWith(`/${name}`));
    t.ok(there || existsSync(name), name);
  }
});

t.test('docs/security.md points to tests that are there', async (t) => {
  const paths = [...read('docs/security.md').matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path);
  t.ok(paths.length > 10);
  for (const path of paths) t.ok(existsSync(path ?? ''), `${path}`);
});

function flatten(value: object, prefix = ''): Record<string, string> {
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? flatten(inner, `${prefix}${key}.`)
        : { [prefix + key]: JSON.stringify(inner) },
    ),
  );
}

t.test('the reference names every header that does not pass', async (t) => {
  const text = read(REFERENCE);
  for (const name of NEVER_UPSTREAM) t.match(text, `\`${name}\``);
  for (const ending of KEY_HEADER_ENDINGS) t.match(text, `\`${ending}\``);
  for (const name of PERMITTED.answer.removed) t.match(text, `\`${name}\``);
});
