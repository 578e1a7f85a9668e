import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { NPM_CLIENTS, runWithClient } from './npm-client.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

const TEXT = 'Hello from the emulated backend.';

interface Agent {
  /** Its section in `docs/clients.md`, whose first block is written to the file. */
  section: string;
  file: string;
  command: readonly string[];
  /** What the recipe adds to its requests; pi has no setting for it. */
  instructions?: string;
  env(folder: string): Record<string, string>;
}

const { execPath } = process;
const [openCode] = NPM_CLIENTS.opencode;
const AGENTS: Record<'opencode' | 'pi' | 'continue', Agent> = {
  opencode: {
    section: 'opencode',
    instructions: 'Be brief.',
    file: 'opencode.json',
    command: [`node_modules/${openCode.split('@')[0]}/bin/opencode`, 'run', 'hi'],
    env: (folder) => ({
      HOME: folder,
      OPENCODE_CONFIG: join(folder, 'opencode.json'),
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_AUTOUPDATE: '1',
    }),
  },
  pi: {
    section: 'pi',
    file: 'models.json',
    command: [
      ...[execPath, 'node_modules/@mariozechner/pi-coding-agent/dist/cli.js'],
      ...['--provider', 'openai', '--model', 'gpt-5.4', '-p', 'hi'],
    ],
    env: (folder) => ({ HOME: folder, PI_CODING_AGENT_DIR: folder, PI_OFFLINE: '1' }),
  },
  continue: {
    section: 'Continue',
    instructions: 'Be brief.',
    file: 'config.yaml',
    command: [execPath, 'node_modules/@continuedev/cli/dist/cn.js', '-p', 'hi'],
    env: (folder) => ({ HOME: folder, CONTINUE_GLOBAL_DIR: folder }),
  },
};

/** The first block of a section of `docs/clients.md`. */
async function recipe(section: string): Promise<string> {
  const text = await readFile('docs/clients.md', 'utf8');
  const block = new RegExp(`^## ${section}\n(?:(?!^## )[^])*?^\`\`\`\\w+\n([^]*?)^\`\`\``, 'm');
  const [, found] = block.exec(text) ?? [];
  if (found === undefined) throw new Error(`docs/clients.md has no recipe for ${section}`);
  return found;
}

for (const [client, agent] of Object.entries(AGENTS) as [keyof typeof AGENTS, Agent][]) {
  t.test(`${client} finishes a turn as docs/clients.md sets it up`, async (t) => {
    const stage = await startServeWithEmulator();
    t.teardown(() => stage.close());
    const folder = await mkdtemp(join(tmpdir(), 'agent-home-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const settings = (await recipe(agent.section))
      .replace('http://127.0.0.1:8787', stage.url)
      .replace('CLIENT_TOKEN', stage.clientToken);
    await writeFile(join(folder, agent.file), settings);
    const script = `
      import { spawnSync } from 'node:child_process';
      const [program, ...args] = ${JSON.stringify(agent.command)};
      process.exitCode = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status;`;
    const env = { OPENAI_API_KEY: stage.clientToken, ...agent.env(folder) };
    const { code, stdout, stderr } = await runWithClient(client, script, env);
    t.equal(code, 0, stderr);
    t.match(stdout, TEXT);
    const turns = stage.backend.records.filter(({ path }) => path.endsWith('/responses'));
    t.ok(turns.length > 0);
    for (const turn of turns) {
      t.match(turn, {
        path: '/backend-api/codex/responses',
        status: 200,
        auth: { kind: 'assertion', verified: true },
        body: { model: /^gpt-5\.4$/ },
      });
      const { instructions } = turn.body as { instructions?: string };
      t.equal(instructions, agent.instructions);
    }
    const sent = JSON.stringify(stage.backend.records);
    t.notMatch(sent, stage.clientToken, 'the client token stayed here');
  });
}
