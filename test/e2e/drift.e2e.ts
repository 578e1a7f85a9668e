import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { CODEX_VERSIONS, installCodex } from './codex.ts';
import { observe } from './drift/observe.ts';
import { compareReport } from './drift/report.ts';

const DOCUMENT = 'docs/codex-versions.md';
/** Quick ones, at the sidecar and at the default hosts; `npm run codex:drift` runs all. */
const SCENARIOS = [
  'schema',
  'a turn: custom provider with a client token, chatgpt_base_url',
  'a turn: no base URL',
];
const [OLDER = '', NEWER = ''] =
  /^## From (\S+) to (\S+)$/m.exec(readFileSync(DOCUMENT, 'utf8'))?.slice(1) ?? [];

/** Why it cannot run here; false where it can. */
function obstacle(): string | false {
  const has = (version: string) => CODEX_VERSIONS.some((name) => name.split(' ')[0] === version);
  if (!has(OLDER) || !has(NEWER)) return `needs Codex ${OLDER} and ${NEWER}`;
  const { status } = spawnSync('unshare', ['-m', 'true']);
  return status === 0 ? false : 'needs a mount namespace of its own';
}

t.test(`the drift check finds what ${DOCUMENT} says`, { skip: obstacle() }, async (t) => {
  const [before = [], after = []] = await Promise.all(
    [OLDER, NEWER].map(async (version) =>
      observe(await installCodex(version), { names: SCENARIOS, atOnce: SCENARIOS.length }),
    ),
  );
  const found = compareReport(before, after).match(/^- .*$/gm) ?? [];
  t.ok(found.length > 4, `${found.length} differences`);
  const text = readFileSync(DOCUMENT, 'utf8');
  for (const line of found) t.ok(text.split('\n').includes(line), line);
  const again = await observe(await installCodex(NEWER), { names: SCENARIOS });
  t.strictSame(again, after, 'a second look finds the same');
});
