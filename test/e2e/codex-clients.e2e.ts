import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { CODEX_VERSIONS, CodexHome, installCodex } from './codex.ts';
import { type NpmClient, runWithClient } from './npm-client.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

const TEXT = 'Hello from the emulated backend.';

/** One turn of each program that starts a Codex, as `docs/clients.md` sets it up. */
const TURNS: Record<'codex-sdk' | 'codex-acp', string> = {
  'codex-sdk': `
    import { Codex } from '@openai/codex-sdk';
    const { BASE_URL: baseUrl, TOKEN: apiKey, CODEX_PATH: codexPathOverride } = process.env;
    const codex = new Codex({ baseUrl, apiKey, codexPathOverride });
    const thread = codex.startThread({ skipGitRepoCheck: true });
    console.log((await thread.run('hi')).finalResponse);`,
  // Its client speaks JSON-RPC, one message a line, on its standard input and output.
  'codex-acp': `
    import { spawn } from 'node:child_process';
    import { createInterface } from 'node:readline';
    const program = 'node_modules/@agentclientprotocol/codex-acp/dist/index.js';
    const agent = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const send = (id, method, params) =>
      agent.stdin.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\\n');
    send(0, 'initialize', { protocolVersion: 1, clientCapabilities: {} });
    for await (const line of createInterface({ input: agent.stdout })) {
      const { id, result, error, params } = JSON.parse(line);
      if (error) throw new Error(JSON.stringify(error));
      const { sessionUpdate, content } = params?.update ?? {};
      if (sessionUpdate === 'agent_message_chunk') console.log(content.text);
      if (id === 0) send(1, 'session/new', { cwd: process.env.CODEX_HOME, mcpServers: [] });
      const prompt = [{ type: 'text', text: 'hi' }];
      if (id === 1) send(2, 'session/prompt', { sessionId: result.sessionId, prompt });
      if (id === 2) console.log(result.stopReason);
      // It then ends the Codex that it started, and itself.
      if (id === 2) agent.stdin.end();
    }`,
};

for (const [client, script] of Object.entries(TURNS) as [
  NpmClient & keyof typeof TURNS,
  string,
][]) {
  t.test(`${client} finishes a turn through the sidecar`, async (t) => {
    const version = CODEX_VERSIONS.at(-1) ?? '';
    const stage = await startServeWithEmulator();
    t.teardown(() => stage.close());
    const { url: baseUrl, clientToken, backend } = stage;
    const home = await CodexHome.create({ baseUrl, clientToken, webSockets: true });
    t.teardown(() => home.remove());
    // The SDK takes it all from its options.
    if (client === 'codex-sdk') await writeFile(join(home.path, 'config.toml'), '');
    const { code, stdout, stderr } = await runWithClient(client, script, {
      CODEX_HOME: home.path,
      CODEX_PATH: await installCodex(version),
      BASE_URL: `${baseUrl}/backend-api/codex`,
      TOKEN: clientToken,
    });
    t.equal(code, 0, stderr);
    t.match(stdout, TEXT);
    const turns = backend.records.filter(({ path }) => path === '/backend-api/codex/responses');
    t.match(turns, [{ transport: 'websocket', auth: { kind: 'assertion', verified: true } }]);
    t.notMatch(JSON.stringify(backend.records), clientToken, 'the client token stayed here');
  });
}
