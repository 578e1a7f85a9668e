import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { createLogger } from '../../src/base/logger.ts';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/index.ts';
import { type Environment, readSettings } from '../../src/sidecar/settings.ts';
import { launchSidecar, type RunningSidecar } from '../../src/sidecar/start.ts';
import { assertNoLeaks, noteEnvironment, noteStored, watchAnswers } from './leak-watch.ts';

export const RESPONSES = '/backend-api/codex/responses';
export const MODELS = '/backend-api/codex/models';

export interface SidecarOptions {
  /** Written to `auth.json`: a string as it is, anything else as JSON; null writes none. */
  authJson?: unknown;
  env?: Environment;
  config?: PartialConfig;
  /** A folder of an earlier sidecar; it keeps its `auth.json`. */
  codexHome?: string;
}

export interface TestSidecar {
  sidecar: RunningSidecar;
  url: string;
  port: number;
  codexHome: string;
  /** Every log line so far, at level trace. */
  log: string[];
}

/**
 * A sidecar on a free port that does not wait for open streams when the test ends. Whatever it says
 * is searched for the secrets of the test then.
 */
export async function startTestSidecar(t: Test, options: SidecarOptions): Promise<TestSidecar> {
  const codexHome = options.codexHome ?? (await makeFolder(t));
  if (options.authJson !== null && options.authJson !== undefined) {
    const { authJson } = options;
    const text = typeof authJson === 'string' ? authJson : JSON.stringify(authJson);
    await writeFile(join(codexHome, 'auth.json'), text, { mode: 0o600 });
  }
  const defaults = { codexHome, listen: { port: 0 }, limits: { drainSeconds: 0 } };
  const settings = await readSettings(options.env ?? {}, await configFile(t, defaults), {
    ...options.config,
  });
  const log: string[] = [];
  const logger = createLogger({ level: 'trace', destination: { write: (line) => log.push(line) } });
  const storedLogin = () => readFile(join(codexHome, 'auth.json'), 'utf8').catch(() => '');
  noteEnvironment(options.env ?? {});
  noteStored(await storedLogin());
  const sidecar = await launchSidecar(settings, logger, false);
  const answers = watchAnswers(sidecar.app.server);
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await sidecar.stop();
  };
  t.teardown(async () => {
    await stop();
    noteStored(await storedLogin());
    assertNoLeaks({ log: log.join(''), answers: answers() });
  });
  const { url, port } = sidecar.address;
  return { sidecar: { ...sidecar, stop }, url: url ?? '', port: port ?? 0, codexHome, log };
}

export interface SidecarWithEmulator extends TestSidecar {
  emulator: Emulator;
}

type Given = Pick<SidecarOptions, 'authJson' | 'env' | 'config'>;

export interface SidecarWithEmulatorOptions extends Omit<SidecarOptions, 'authJson' | 'env'> {
  emulator?: EmulatorOptions;
  /** The credential of the sidecar; default a ChatGPT login. */
  credential?: (emulator: Emulator) => Given;
}

export const chatGptLogin = (emulator: Emulator): Given => ({
  authJson: emulator.issueLogin().authJson,
});

/** The emulated backend, and a sidecar in front of it. */
export async function startSidecarWithEmulator(
  t: Test,
  options: SidecarWithEmulatorOptions = {},
): Promise<SidecarWithEmulator> {
  const { emulator: emulatorOptions, credential = chatGptLogin, ...rest } = options;
  const emulator = await startEmulator(emulatorOptions);
  t.teardown(() => emulator.close());
  const given = credential(emulator);
  const config = withUpstream({ ...options.config, ...given.config }, emulator.upstream);
  const sidecar = await startTestSidecar(t, { ...rest, ...given, config });
  return { ...sidecar, emulator };
}

/** A sidecar with a made-up ChatGPT login, in front of any server. */
export function startSidecarInFrontOf(
  t: Test,
  origin: string,
  options: SidecarOptions = {},
): Promise<TestSidecar> {
  const upstream = {
    chatgptBaseUrl: `${origin}/backend-api`,
    openaiBaseUrl: `${origin}/v1`,
    authApiBaseUrl: `${origin}/api/accounts`,
    ...NO_TOKEN_ENDPOINT,
  };
  const config = withUpstream(options.config, upstream);
  return startTestSidecar(t, { authJson: FAKE_LOGIN, ...options, config });
}

// Nobody listens there: a 401 of the upstream leads to a refresh, which must not leave this machine.
export const NO_TOKEN_ENDPOINT = {
  oauthTokenUrl: 'http://127.0.0.1:1/oauth/token',
  oauthRevokeUrl: 'http://127.0.0.1:1/oauth/revoke',
};

/** What the sidecar of {@link startSidecarInFrontOf} sends upstream. */
export const FAKE_ACCESS_TOKEN = fakeJwt({
  chatgpt_account_id: 'account-of-the-sidecar',
  chatgpt_user_id: 'user-of-the-sidecar',
});

export const FAKE_LOGIN = {
  auth_mode: 'chatgpt',
  tokens: { access_token: FAKE_ACCESS_TOKEN, refresh_token: 'refresh-token-of-the-sidecar' },
};

function fakeJwt(claims: object): string {
  const parts = [{ alg: 'none' }, { 'https://api.openai.com/auth': claims }, 'signature'];
  return parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

function withUpstream(config: PartialConfig | undefined, upstream: object): PartialConfig {
  const own = config?.upstream as object | undefined;
  return { ...config, upstream: { proxy: null, ...upstream, ...own } };
}

// The defaults of the tests stand in a file, so that each test can override them one by one.
async function configFile(t: Test, values: object): Promise<string> {
  const path = join(await makeFolder(t), 'config.json');
  await writeFile(path, JSON.stringify(values));
  return path;
}

/** A folder that goes with the test. */
export async function makeFolder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'codex-auth-sidecar-test-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
