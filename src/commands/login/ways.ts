import { ConfigError } from '../../base/errors.ts';
import type { CommandIo } from '../options.ts';

/** A way of signing in, as the options of `login` name it. */
export type LoginWay = 'deviceAuth' | 'agentIdentity' | 'accessToken' | 'apiKey' | 'import';

interface WayText {
  flag: string;
  description: string;
}

/** Every way, in the order in which a question offers them. */
export const WAYS: Readonly<Record<LoginWay, WayText>> = {
  deviceAuth: { flag: '--device-auth', description: 'sign in with ChatGPT in a browser anywhere' },
  agentIdentity: { flag: '--with-agent-identity', description: 'paste an Agent Identity JWT' },
  accessToken: {
    flag: '--with-access-token',
    description: 'paste an Agent Identity JWT or a personal access token (at-…)',
  },
  apiKey: { flag: '--with-api-key', description: 'paste an API key' },
  import: { flag: '--import FILE', description: 'take over a Codex auth.json' },
};

const FLAGS = Object.values(WAYS).map(({ flag }) => flag);
const CHOOSE = `choose one of ${FLAGS.slice(0, -1).join(', ')} and ${FLAGS.at(-1)}`;
const MAX_QUESTIONS = 3;

/**
 * The way that the options name; without one, the person at the terminal is asked.
 * @throws ConfigError when they name two, or nobody can be asked
 */
export async function chooseWay(
  named: readonly LoginWay[],
  { ask, print }: Pick<CommandIo, 'ask' | 'print'>,
): Promise<LoginWay> {
  const [way, second] = named;
  if (second) throw new ConfigError(CHOOSE);
  if (way) return way;
  if (!ask) throw new ConfigError(CHOOSE);
  const ways = Object.entries(WAYS) as [LoginWay, WayText][];
  for (const [index, [, { flag, description }]] of ways.entries()) {
    print(`  ${index + 1}  ${description} (${flag})`);
  }
  for (let i = 0; i < MAX_QUESTIONS; i++) {
    const answer = (await ask('How do you want to sign in? [1] ')).trim();
    const chosen = ways[(answer === '' ? 1 : Number(answer)) - 1];
    if (chosen) return chosen[0];
    print(`type a number from 1 to ${ways.length}`);
  }
  throw new ConfigError(CHOOSE);
}
