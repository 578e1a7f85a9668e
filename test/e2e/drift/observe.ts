import type { Fact } from './facts.ts';
import { FactBook } from './facts.ts';
import { ACCOUNT } from './prepare.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { Stage } from './stage.ts';

/** Addresses of loopback that are nobody else's, one for each stage. */
let lastPlace = 0;
function nextAddress(): string {
  lastPlace += 1;
  return `127.83.${lastPlace >> 8}.${lastPlace & 255}`;
}

/**
 * Runs scenarios, some at a time.
 * @param program path of a Codex CLI
 * @param names of scenarios; all of them when there is none
 * @param atOnce how many run at a time
 */
export async function observe(
  program: string,
  { names = [...SCENARIOS.keys()], atOnce = 6, onDone = (_name: string) => {} } = {},
): Promise<Fact[]> {
  const book = new FactBook();
  const left = [...names];
  const work = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const scenario = SCENARIOS.get(name);
      if (!scenario) throw new Error(`no scenario is called ${name}`);
      for (const { topic, subject, value } of await play(program, scenario)) {
        book.add(topic, subject, value);
      }
      onDone(name);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return book.list;
}

async function play(program: string, scenario: Scenario): Promise<Fact[]> {
  const stage = await Stage.open(program, nextAddress());
  try {
    await scenario(stage);
    stage.noteRequests(ACCOUNT);
    return stage.book.list;
  } finally {
    await stage.close();
  }
}
