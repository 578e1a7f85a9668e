import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { ConfigError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { OwnEnvironment } from '../../config/environment.ts';
import { phantomKey, phantomLogin } from '../../oauth/phantom-login.ts';
import { plainVariables, readSettings } from '../../sidecar/settings.ts';
import { launchSidecar, type RunningSidecar } from '../../sidecar/start.ts';
import { logStart } from '../../sidecar/start-line.ts';
import { isStandardOutput } from '../../telemetry/audit-log.ts';
import { modelBaseUrl } from '../codex/provider.ts';
import { childCommand, childEnvironment, codexIndex } from './child-environment.ts';
import { type HomeChoice, withChildHome } from './child-home.ts';
import { openRunLog } from './log.ts';
import { OwnClient } from './own-client.ts';
import { runProcess } from './process.ts';
import { refuseSignIn } from './refuse-sign-in.ts';

/** We wait this long for a registration; after that the child starts in parallel. */
const PREPARE_MS = 10_000;

interface RunOptions {
  env: OwnEnvironment;
  configFile: string | null;
  logFile: string | null;
  logLevel: string | null;
  verbose: boolean;
  home: HomeChoice;
  command: readonly string[];
  /** Prints one line for the user. */
  warn: (line: string) => void;
}

/** Node.js cannot reap what it did not start, and process 1 inherits all orphans. */
const PROCESS_ONE =
  'run cannot be process 1, because the orphans of the program would stay as zombies; start the container with an init, such as "docker run --init"';

/**
 * Runs a program with a sidecar of its own, which ends with it.
 * @returns the exit code of the program
 */
export async function run(options: RunOptions): Promise<number> {
  const { configFile, command, warn } = options;
  refuseSignIn(command);
  if (process.pid === 1) throw new ConfigError(PROCESS_ONE);
  const env = plainVariables(options.env);
  const isCodex = codexIndex(command) !== -1;
  const client = new OwnClient(isCodex);
  const read = () => readSettings(options.env, configFile, privateListener(options.logLevel));
  const settings = await read();
  const { audit, ...form } = settings.config.log;
  if (isStandardOutput(audit)) {
    throw new ConfigError(
      "log.audit must be a file for run, whose standard output is the program's",
    );
  }
  const { verbose, logFile: file } = options;
  const { log, close } = await openRunLog({ ...form, verbose, file, env, warn });
  const sidecar = await launchSidecar(settings, log, false, read, client);
  try {
    await logStart(log, sidecar, settings, true);
    await requireCredential(sidecar, warn);
    return await runChild({ ...options, isCodex, client, sidecar, log });
  } finally {
    await sidecar.stop();
    await close();
  }
}

interface ChildOptions extends RunOptions {
  isCodex: boolean;
  client: OwnClient;
  sidecar: RunningSidecar;
  log: Logger;
}

/** @returns the exit code of the program */
function runChild(options: ChildOptions): Promise<number> {
  const { command, home: choice, isCodex, client, sidecar, log, warn } = options;
  const env = plainVariables(options.env);
  const issuer = sidecar.address.url ?? '';
  const baseUrl = modelBaseUrl(issuer);
  const signIn = {
    login: (clientToken: string) => loginFor(sidecar, { issuer, clientToken }),
    useToken: (clientToken: string) => sidecar.useClientTokens(client.use(clientToken)),
  };
  return withChildHome({ choice, env, isCodex, warn }, signIn, (home) =>
    runProcess(
      childCommand(command, baseUrl, home),
      childEnvironment(env, { baseUrl, clientToken: client.token, home }),
      abortOnDefect(log, warn),
    ),
  );
}

/**
 * The phantom login for a private home. It names no account: with one, Codex 0.171.0 asks the backend
 * where its workspace is and sends its requests there, past the sidecar (observed). Where the
 * credential serves responses alone, Codex should not ask for anything else.
 */
function loginFor({ manager }: RunningSidecar, origin: { issuer: string; clientToken: string }) {
  const { account, bearer, mode } = manager.snapshot();
  if (mode === 'apikey' || bearer.state === 'none') return phantomKey(origin);
  return phantomLogin(origin, { id: null, planType: account?.planType ?? null }, systemClock());
}

const NO_TLS = { certFile: null, keyFile: null, clientCaFile: null, clientNames: [] };

/** Overrides the configuration: this sidecar serves one child and does not outlive it. */
function privateListener(level: string | null) {
  return {
    listen: { host: '127.0.0.1', port: 0, socket: null, tls: NO_TLS },
    admin: { listen: { port: null, socket: null, tls: NO_TLS } },
    clients: { tokensFile: null },
    usage: { file: null },
    limits: { drainSeconds: 0 },
    ...(level === null ? {} : { log: { level } }),
  };
}

/** Runs before the child starts, because the child would explain a missing credential less well. */
async function requireCredential({ manager }: RunningSidecar, warn: RunOptions['warn']) {
  const patience = new AbortController();
  const limit = sleep(PREPARE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([manager.prepare(), limit]);
  patience.abort();
  const { error, mode, identity, bearer, state } = manager.snapshot();
  if (mode === null && error) throw error;
  if (state !== 'failed') return;
  const problem = identity.lastError ?? bearer.lastError ?? 'the credential cannot be used';
  warn(`requests will fail for now: ${problem}`);
}

/** A child must not outlive its sidecar: it would wait for responses that never come. */
function abortOnDefect(log: Logger, warn: RunOptions['warn']): AbortSignal {
  const abort = new AbortController();
  process.once('uncaughtException', (error) => {
    log.fatal({ err: error }, 'unexpected failure, ending the child');
    warn('the sidecar failed, so the program was stopped; the log of the sidecar says why');
    abort.abort();
  });
  return abort.signal;
}
