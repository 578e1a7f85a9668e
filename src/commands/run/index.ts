import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { parseClientTokens } from '../../clients/client-tokens.ts';
import type { OwnEnvironment } from '../../config/environment.ts';
import type { TokenSource } from '../../sidecar/preflight.ts';
import { type Environment, plainVariables, readSettings } from '../../sidecar/settings.ts';
import { launchSidecar, type RunningSidecar } from '../../sidecar/start.ts';
import { logStart } from '../../sidecar/start-line.ts';
import { isStandardOutput } from '../../telemetry/audit-log.ts';
import { agentHome, holdsLogin } from '../codex/home.ts';
import { modelBaseUrl } from '../codex/provider.ts';
import { childCommand, childEnvironment, codexIndex } from './child-environment.ts';
import { withIsolatedHome } from './isolated-home.ts';
import { openRunLog, stateFolder } from './log.ts';
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
  /** Give the child a temporary `CODEX_HOME` without a login. */
  isolateHome: boolean;
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
  const clientToken = randomBytes(24).toString('base64url');
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
  const sidecar = await launchSidecar(
    settings,
    log,
    false,
    read,
    ownToken(clientToken, codexIndex(command) !== -1),
  );
  try {
    await logStart(log, sidecar, settings, true);
    await requireCredential(sidecar, warn);
    const baseUrl = modelBaseUrl(sidecar.address.url ?? '');
    return await withHome(options, env, (codexHome) =>
      runProcess(
        childCommand(command, baseUrl),
        childEnvironment(env, { baseUrl, clientToken, codexHome }),
        abortOnDefect(log, warn),
      ),
    );
  } finally {
    await sidecar.stop();
    await close();
  }
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

/** @param isCodex other programs need the Responses API alone */
function ownToken(token: string, isCodex: boolean): TokenSource {
  const digest = createHash('sha256').update(token).digest('hex');
  const tokens = parseClientTokens(`run:${digest} for=${isCodex ? 'codex' : 'inference'}`);
  return { read: async () => ({ tokens, commit: () => tokens }), close: () => undefined };
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

/** Runs `work` with the child's `CODEX_HOME`; null keeps the inherited one. */
async function withHome(
  { isolateHome, command, warn }: RunOptions,
  env: Environment,
  work: (codexHome: string | null) => Promise<number>,
): Promise<number> {
  const home = agentHome(env);
  if (!isolateHome) {
    if (codexIndex(command) !== -1 && (await holdsLogin(home))) {
      warn(
        `the agent can read the login in ${home}; --isolate-home gives it a home without a login`,
      );
    }
    return work(null);
  }
  return withIsolatedHome(home, stateFolder(env), warn, work);
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
