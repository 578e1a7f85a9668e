import type { Writable } from 'node:stream';
import { isObject } from '../../src/base/json.ts';
import { runCodex } from './codex.ts';

/** What the app server said to one request. */
export interface Reply {
  result?: unknown;
  error?: { message: string };
}

const INITIALIZE = { clientInfo: { name: 'codex-auth-sidecar-tests', version: '0' } };
/** They take an object, be it empty; the others take none. */
const WITH_PARAMS = /\/list$|^account\/read$|^config\/read$/;

/**
 * Starts `codex app-server`, asks one thing after the other, and ends it.
 * @param command the command line that starts the server
 * @param methods requests that need no parameters
 * @returns a reply for each of them
 */
export async function askAppServer(
  home: string,
  command: readonly string[],
  methods: readonly string[],
  env: Record<string, string> = {},
): Promise<Reply[]> {
  const replies: Reply[] = [];
  const waiting = ['initialize', ...methods];
  let asked = 0;
  const { code, stderr } = await runCodex(home, command, {
    env,
    onStart: (input) => ask(input),
    onLine: (line, input) => {
      const message: unknown = JSON.parse(line);
      // Others are notifications, or ask something of the client.
      if (!isObject(message) || message.id !== asked || 'method' in message) return;
      if (asked > 1) replies.push(message);
      else input.write(lineOf({ method: 'initialized' }));
      ask(input);
    },
  });
  if (replies.length < methods.length) throw new Error(`app-server ended with ${code}: ${stderr}`);
  return replies;

  function ask(input: Writable): void {
    const method = waiting.shift();
    if (method === undefined) {
      input.end();
      return;
    }
    asked += 1;
    const params = method === 'initialize' ? INITIALIZE : {};
    const hasParams = method === 'initialize' || WITH_PARAMS.test(method);
    input.write(lineOf({ id: asked, method, ...(hasParams ? { params } : {}) }));
  }
}

function lineOf(message: object): string {
  return `${JSON.stringify(message)}\n`;
}
