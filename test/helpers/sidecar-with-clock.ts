import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Dispatcher } from 'undici';
import type { StatusDocument } from '../../src/admin/status.ts';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import type { AuthStore } from '../../src/auth-store/store.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { createLogger } from '../../src/base/logger.ts';
import { mainPlace } from '../../src/config/places.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/index.ts';
import { type BuiltSidecar, buildServer } from '../../src/sidecar/server.ts';
import { type Environment, readSettings } from '../../src/sidecar/settings.ts';
import { createDispatcher } from '../../src/upstream/dispatcher.ts';
import { FakeTime } from './fake-time.ts';
import { assertNoLeaks, noteEnvironment, noteStored, watchAnswers } from './leak-watch.ts';

export const RESPONSES = '/backend-api/codex/responses';
export const MODELS = '/backend-api/codex/models';
export const TOKEN = '/oauth/token';
export const WITH_IDENTITY = { agentIdentity: { policy: 'chatgptAuth' } };

/** The second form of identity. */
export const withInstance = (headers: 'dual' | 'assertionOnly', more: PartialConfig = {}) => ({
  agentIdentity: { policy: 'chatgptAuth', form: 'runtimeInstance', headers, ...more },
});

/** A Codex home of its own, gone with the test. */
export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'codex-auth-sidecar-recovery-'));
  readonly path = join(this.folder, 'auth.json');

  constructor(t: Test) {
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  write(content: object): void {
    writeFileSync(this.path, JSON.stringify(content), { mode: 0o600 });
  }

  text(): string {
    return readFileSync(this.path, 'utf8');
  }

  /** What is stored now must not be said by any sidecar. */
  noteSecrets(): void {
    if (existsSync(this.path)) noteStored(this.text());
  }

  read(): JsonObject {
    return JSON.parse(this.text()) as JsonObject;
  }

  /** A field of the stored object at `name`. */
  field(name: string, field: string): unknown {
    return (this.read()[name] as JsonObject | undefined)?.[field];
  }
}

export interface SidecarWithClockOptions {
  home?: Home;
  /** Content of auth.json; default a login of the emulator; null writes none. */
  authJson?: (emulator: Emulator) => object | null;
  env?: (emulator: Emulator) => Environment;
  config?: PartialConfig;
  emulator?: EmulatorOptions;
  /** An upstream in place of the emulator for everything below /backend-api. */
  origin?: string;
  store?: (store: AuthStore) => AuthStore;
  dispatcher?: Dispatcher;
}

export interface SidecarWithClock {
  emulator: Emulator;
  home: Home;
  sidecar: BuiltSidecar;
  store: AuthStore;
  url: string;
  time: FakeTime;
  /** Log lines so far. */
  log: string[];
  status(): Promise<StatusDocument>;
  /** How many requests the backend saw whose path ends like this, and since when. */
  count(pathEnd: string, since?: number): number;
  /** Stops the sidecar before the end of the test. */
  stop(): Promise<void>;
}

/** Emulator and sidecar on real sockets, with one clock and with timers that the test runs. */
export async function startSidecarWithClock(
  t: Test,
  options: SidecarWithClockOptions = {},
): Promise<SidecarWithClock> {
  const time = new FakeTime();
  const emulator = await startEmulator({ now: time.now, ...options.emulator });
  t.teardown(() => emulator.close());
  return startAnotherSidecar(t, { emulator, time }, options);
}

/** One more sidecar, for the same backend and clock. */
export async function startAnotherSidecar(
  t: Test,
  { emulator, time }: Pick<SidecarWithClock, 'emulator' | 'time'>,
  options: SidecarWithClockOptions = {},
): Promise<SidecarWithClock> {
  const home = options.home ?? new Home(t);
  const login = options.authJson ?? (() => emulator.issueLogin().authJson);
  const content = options.home && !options.authJson ? null : login(emulator);
  if (content) home.write(content);
  const log: string[] = [];
  const config = resolveConfig(withUpstream(emulator, options), options.config ?? {});
  const dispatcher =
    options.dispatcher ??
    createDispatcher({
      authorities: [],
      proxy: null,
      proxyEnvironment: { httpsProxy: null, noProxy: null },
    });
  const env = options.env?.(emulator) ?? {};
  noteEnvironment(env);
  home.noteSecrets();
  const settings = await readSettings(env, null, {});
  const logger = createLogger({ level: 'debug', destination: { write: (line) => log.push(line) } });
  const files = new FileAuthStore(home.folder, (line, err) => logger.warn({ err }, line));
  const store = options.store?.(files) ?? files;
  const sidecar = await buildServer(config, {
    log: logger,
    dispatcher,
    store,
    environment: settings.credentials,
    clientTokens: null,
    listener: { place: mainPlace(config), tls: null, certificates: null },
    admin: null,
    now: time.now,
    monotonicNow: time.monotonicNow,
    sleep: async () => undefined,
    schedule: time.schedule,
    platform: 'linux',
    installationId: '00000000-0000-4000-8000-000000000000',
    oauthClientId: null,
    readConfig: async () => ({ config, commit: () => null }),
  });
  const answers = watchAnswers(sidecar.app.server);
  const url = await sidecar.app.listen({ host: '127.0.0.1', port: 0 });
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    sidecar.manager.dispose();
    await sidecar.app.close();
    await dispatcher.destroy();
  };
  t.teardown(async () => {
    await stop();
    home.noteSecrets();
    assertNoLeaks({ log: log.join(''), answers: answers() });
  });
  return {
    emulator,
    home,
    sidecar,
    store,
    url,
    time,
    log,
    status: async () => (await (await fetch(`${url}/auth/status`)).json()) as StatusDocument,
    count: (pathEnd, since = 0) =>
      emulator.records.slice(since).filter(({ path }) => path.endsWith(pathEnd)).length,
    stop,
  };
}

function withUpstream(emulator: Emulator, { origin }: SidecarWithClockOptions): PartialConfig {
  const upstream = { ...emulator.upstream, proxy: null };
  if (origin === undefined) return { upstream };
  const elsewhere = { chatgptBaseUrl: `${origin}/backend-api`, openaiBaseUrl: `${origin}/v1` };
  return { upstream: { ...upstream, ...elsewhere } };
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** `x-sidecar-error`; null on an answer of the upstream. */
  code: string | null;
}

export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const { status, headers } = response;
  return { status, headers, text: await response.text(), code: headers.get('x-sidecar-error') };
}

export const getModels = (scene: Pick<SidecarWithClock, 'url'>) => ask(scene.url + MODELS);

/** One inference request. */
export function infer(
  scene: Pick<SidecarWithClock, 'url'>,
  body: object = { input: [] },
): Promise<Answer> {
  return ask(scene.url + RESPONSES, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export function times<T>(count: number, act: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, act));
}

/** The run task that the last inference request carried. */
export function lastTask(emulator: Emulator): string {
  const record = emulator.records.findLast(({ auth }) => auth.taskId !== null);
  if (!record?.auth.taskId) throw new Error('no request carried a run task');
  return record.auth.taskId;
}
