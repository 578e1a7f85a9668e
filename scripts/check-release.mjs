// Stops a release whose tag, package and changelog do not name one version. Its argument is the tag.
import { readFileSync } from 'node:fs';

const [, , tag = ''] = process.argv;
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const heading = new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - (.*)$`, 'm');
const date = heading.exec(readFileSync('CHANGELOG.md', 'utf8'))?.[1];

const problems = [
  tag === `v${version}` ? [] : [`the tag is ${tag || 'missing'}, and package.json has ${version}`],
  /^\d{4}-\d{2}-\d{2}$/.test(date ?? '') ? [] : [`CHANGELOG.md has no date for ${version}`],
].flat();
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
