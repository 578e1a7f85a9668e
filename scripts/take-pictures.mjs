// Takes the pictures of the status page that the documents show: `npm run build:test`, then
// `node scripts/take-pictures.mjs`. Emulated backend and sidecar are the built program.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { fetchChromium, findChromium } from '../.build/test/helpers/chromium.js';

const PROGRAM = '.build/src/cli.js';
const folder = mkdtempSync(join(tmpdir(), 'sidecar-pictures-'));
const home = join(folder, 'codex-home');
const config = join(folder, 'config.json');
const tokens = join(folder, 'client-tokens');
const children = [];
const env = { PATH: process.env.PATH, HOME: folder };

/** Starts the program and waits for a line. @returns that line */
async function start(args, word) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += `${line}\n`;
    if (line.includes(word)) break;
  }
  child.stdout.resume();
  return { text, child };
}

const token = (name, ...options) =>
  execFileSync(process.execPath, [PROGRAM, 'token', 'add', name, '--file', tokens, ...options], {
    env,
  })
    .toString()
    .trim();

async function serve() {
  const { text, child } = await start(['serve', '--config', config], '"listening"');
  const { url } = JSON.parse(text.split('\n').find((line) => line.includes('"listening"')));
  return { url, child };
}

async function turns(url, bearer, count, path = '/v1/responses', model = 'gpt-5.5') {
  const body = JSON.stringify({
    model,
    instructions: '',
    input: [{ role: 'user', content: 'hello '.repeat(400) }],
    store: false,
    stream: true,
  });
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  for (let i = 0; i < count; i++) {
    const response = await fetch(url + path, { method: 'POST', headers, body });
    await response.text();
    await sleep(40);
  }
}

fetchChromium();
const found = findChromium();
const browser = await chromium.launch({
  executablePath: found.executablePath,
  env: { ...process.env, ...found.env },
  args: ['--no-sandbox'],
});

async function picture(url, name, options = {}) {
  const viewport = { width: options.width ?? 1080, height: 700 };
  const context = await browser.newContext({
    viewport,
    colorScheme: options.scheme ?? 'light',
    deviceScaleFactor: 1,
  });
  const page = await context.newPage();
  await page.goto(`${url}/auth/status`);
  await page.locator('#page[data-online="true"]').waitFor();
  await sleep(1500);
  await page.screenshot({ path: name, fullPage: options.fullPage ?? true });
  await context.close();
}

try {
  const { text } = await start(['emulator', '--port', '0', '--codex-home', home], 'auth.json');
  const { upstream } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  const settings = {
    listen: { port: 0 },
    upstream,
    clients: { tokensFile: tokens },
    agentIdentity: { policy: 'chatgptAuth' },
  };
  const agent = token('build-agent', '--requests', '120', '--output-tokens', '20000');
  const nightly = token('nightly', '--input-tokens', '4000');
  const laptop = token('laptop', '--for', 'codex');

  writeFileSync(config, JSON.stringify({ ...settings, codexHome: join(folder, 'empty') }));
  const without = await serve();
  await picture(without.url, 'docs/status-sign-in.png');
  without.child.kill();

  writeFileSync(config, JSON.stringify({ ...settings, codexHome: home }));
  const { url, child } = await serve();
  await turns(url, agent, 40);
  await turns(url, laptop, 15);
  await picture(url, 'docs/status-page.png');
  await turns(url, nightly, 14);
  await turns(url, agent, 4, '/backend-api/conversations');
  await turns(url, 'wrong', 3);
  await turns(url, agent, 2, '/v1/chat/completions');
  await picture(url, 'docs/status-refusals.png', { scheme: 'dark' });
  await picture(url, join(process.env.EXTRA ?? folder, 'narrow.png'), { width: 390 });
  child.kill();
} finally {
  await browser.close();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
