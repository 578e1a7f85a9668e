import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/*
 * The processes of a soak run: an upstream, the built sidecar, and clients. Everything is on
 * loopback; the login of the sidecar is made up.
 */

const beside = (name) => fileURLToPath(new URL(name, import.meta.url));
const PROGRAM = beside('../../dist/cli.js');

/** A process that replies to messages: `ask` sends one and waits for the next reply. */
class Peer {
  constructor(child) {
    this.child = child;
    this.pid = child.pid;
    this.exited = once(child, 'exit');
  }

  async ask(message) {
    const reply = once(this.child, 'message');
    this.child.send(message);
    const ended = this.exited.then(([code]) => {
      throw new Error(`process ${this.pid} ended with ${code}`);
    });
    const [value] = await Promise.race([reply, ended]);
    return value;
  }

  async stop() {
    this.child.kill('SIGTERM');
    return (await this.exited)[0];
  }
}

/** Runs a script of this folder in a process of its own. */
export function start(script, args = []) {
  return new Peer(fork(beside(script), args, { env: { PATH: process.env.PATH } }));
}

/**
 * The built `serve` command, in front of an upstream on `port`. `probe.mjs` is loaded before it and
 * replies to `ask('memory')`; the program itself is the one that ships.
 */
export async function startSidecar(port) {
  const folder = await mkdtemp(join(tmpdir(), 'sidecar-soak-'));
  await writeFile(join(folder, 'auth.json'), JSON.stringify(LOGIN), { mode: 0o600 });
  await writeFile(join(folder, 'config.json'), JSON.stringify(configOf(folder, port)));
  const args = ['--expose-gc', '--import', beside('probe.mjs'), PROGRAM, 'serve'];
  const child = spawn(process.execPath, [...args, '--config', join(folder, 'config.json')], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH },
  });
  const sidecar = new Peer(child);
  const url = await new Promise((resolve, reject) => {
    sidecar.exited.then(([code]) => reject(new Error(`the sidecar ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line);
      if (entry.msg === 'listening') resolve(entry.url);
      else if (['warn', 'error', 'fatal'].includes(entry.level)) process.stdout.write(`${line}\n`);
    });
  });
  const stop = async () => {
    const code = await sidecar.stop();
    await rm(folder, { recursive: true });
    return code;
  };
  return {
    url,
    port: Number(new URL(url).port),
    pid: sidecar.pid,
    ask: (m) => sidecar.ask(m),
    stop,
  };
}

function configOf(folder, port) {
  const origin = `http://127.0.0.1:${port}`;
  return {
    codexHome: folder,
    listen: { port: 0 },
    limits: { drainSeconds: 5 },
    upstream: {
      chatgptBaseUrl: `${origin}/backend-api`,
      openaiBaseUrl: `${origin}/v1`,
      authApiBaseUrl: `${origin}/api/accounts`,
      oauthTokenUrl: `${origin}/oauth/token`,
      oauthRevokeUrl: `${origin}/oauth/revoke`,
      proxy: null,
    },
  };
}

const LOGIN = {
  auth_mode: 'chatgpt',
  tokens: {
    access_token: [
      { alg: 'none' },
      { 'https://api.openai.com/auth': { chatgpt_account_id: 'a', chatgpt_user_id: 'u' } },
      'signature',
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.'),
    refresh_token: 'refresh-token-of-nobody',
  },
};

/** Open file descriptors of a process. */
export async function descriptorsOf(pid) {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Resident memory of a process, and the most that it ever was; MiB. */
export async function residentOf(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** Refuses to start where a process may not open as many files as the run needs. */
export async function needDescriptors(count) {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const [, soft] = /Max open files\s+(\d+)/.exec(limits) ?? [];
  if (Number(soft) < count) {
    throw new Error(`${count} open files are needed and ${soft} allowed: run ulimit -n ${count}`);
  }
}

/** The connections that the sidecar counts. */
export async function connectionsOf(url) {
  const { connections } = await (await fetch(`${url}/auth/status`)).json();
  return connections.http + connections.websocket;
}
