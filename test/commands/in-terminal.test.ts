import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, run } from '../helpers/program.ts';
import { closedPort } from '../helpers/upstream.ts';

t.jobs = 2;

type Command = (t: Test) => Promise<{ args: string[]; shows: string }>;

/** Commands without colours, each with a line that it prints. */
const COMMANDS: Record<string, Command> = {
  doctor: async (t) => {
    const { upstream } = await startBackend(t);
    const settings = { upstream: { ...upstream, proxy: null }, listen: { port: 0 } };
    const config = await makeFile(t, 'config.json', settings);
    return { args: ['doctor', '--config', config], shows: '✓ node' };
  },
  'token list': async (t) => {
    const tokens = `ci:${createHash('sha256').update('ci').digest('hex')} routes=/a\n`;
    const file = await makeFile(t, 'tokens', tokens);
    return { args: ['token', 'list', '--file', file], shows: 'ci' };
  },
  'codex-config': async (t) => {
    const file = await makeFile(t, 'token', 'the-token\n');
    return {
      args: ['codex-config', '--token-file', file],
      shows: 'experimental_bearer_token = "the-token"',
    };
  },
  healthcheck: async () => {
    const port = await closedPort();
    return { args: ['healthcheck', '--port', `${port}`], shows: 'cannot be reached' };
  },
  logout: async () => ({ args: ['logout'], shows: 'auth.json' }),
  'login --import': async (t) => {
    const file = await makeFile(t, 'auth.json', { OPENAI_API_KEY: 'sk-of-a-test' });
    return { args: ['login', '--import', file], shows: 'auth.json' };
  },
  completion: async () => ({ args: ['completion', 'bash'], shows: 'codex-config' }),
};

/** The backend's clock is read in whole seconds, so its distance differs from run to run. */
const untimed = (text: string) => text.replaceAll(/\d+ s (behind|ahead of)/g, 'beside');

for (const [name, prepare] of Object.entries(COMMANDS)) {
  t.test(`${name} says the same on a terminal, without colours`, async (t) => {
    const { args, shows } = await prepare(t);
    const home = await makeFolder(t);
    writeFileSync(join(home, 'config.toml'), 'model = "m"\n');
    const env = { CODEX_HOME: home, TERM: 'xterm-256color' };
    const piped = await run(t, args, env);
    const typed = await run(t, args, env, { terminal: true });
    const lines = untimed(piped.stdout + piped.stderr);
    t.ok(lines.includes(shows), lines);
    t.equal(untimed(typed.stdout), lines.replaceAll('\n', '\r\n'));
    t.equal(typed.code, piped.code);
    t.notOk(typed.stdout.includes('\u001b'));
  });
}
