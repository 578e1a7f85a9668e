import { installCodex } from '../codex.ts';
import { observe } from './observe.ts';
import { compareReport, factsReport } from './report.ts';
import { SCENARIOS } from './scenarios.ts';

// Started by `scripts/codex-drift.mjs`, in a network that has only this machine.
const versions = process.argv.slice(2);

async function look(version: string) {
  let done = 0;
  return observe(await installCodex(version), {
    onDone: (name) => {
      done += 1;
      process.stderr.write(`Codex ${version}: ${done} of ${SCENARIOS.size}: ${name}\n`);
    },
  });
}

const [older = '', newer] = versions;
const before = await look(older);
process.stdout.write(
  newer === undefined
    ? `## Codex ${older}\n\n${factsReport(before)}`
    : `## Codex ${older} → ${newer}\n\n${compareReport(before, await look(newer))}`,
);
