import closeWithGrace from 'close-with-grace';
import { errnoOf } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { OwnEnvironment } from '../../config/environment.ts';
import type { PartialConfig } from '../../config/resolve.ts';
import { type LineOutput, openOutput } from '../../files/line-output.ts';
import { publishFile } from '../../files/publish-file.ts';
import { readSettings } from '../../sidecar/settings.ts';
import { launchSidecar, type RunningSidecar } from '../../sidecar/start.ts';
import { logStart } from '../../sidecar/start-line.ts';
import { LAST_LINES_MS, openLog } from '../log.ts';
import { CRASHES } from '../process.ts';

interface ServeOptions {
  env: OwnEnvironment;
  configFile: string | null;
  flags: PartialConfig;
  serverInfo: string | null;
  pretty: boolean;
  /** Colours in a log for people. */
  colour: boolean;
  allowUnauthenticated: boolean;
}

/** Runs the proxy until SIGTERM or SIGINT. */
export async function serve(options: ServeOptions): Promise<void> {
  const read = () => readSettings(options.env, options.configFile, options.flags);
  const settings = await read();
  const { config } = settings;
  const output = openOutput(1);
  const { pretty, colour } = options;
  const log = await openLog(output, { ...config.log, pretty, colour });
  const sidecar = await launchSidecar(settings, log, options.allowUnauthenticated, read);
  reloadOnHangUp(sidecar, log);
  reopenOnSignal(sidecar, log);
  const signals = stopOnSignal(sidecar, log, output, config.limits.drainSeconds);
  try {
    if (options.serverInfo !== null) await writeServerInfo(options.serverInfo, sidecar);
  } catch (error) {
    // Without the file, a program that waits for it would wait forever.
    signals.uninstall();
    await sidecar.stop();
    throw error;
  }
  await logStart(log, sidecar, settings, config.clients.tokensFile !== null);
}

async function writeServerInfo(
  path: string,
  { address, adminAddress: admin }: RunningSidecar,
): Promise<void> {
  const { port, socket, url } = address;
  const own = admin ? { admin } : {};
  const line = JSON.stringify({ port, socket, pid: process.pid, url, ...own });
  try {
    await publishFile(path, `${line}\n`);
  } catch (error) {
    throw new Error(`--server-info: cannot write ${path} (${errnoOf(error)})`);
  }
}

function reloadOnHangUp(sidecar: RunningSidecar, log: Logger): void {
  process.on('SIGHUP', () => {
    sidecar.reload().then(
      (restartNeededFor) => log.info({ restartNeededFor }, 'reloaded'),
      (error: unknown) => log.error({ err: error }, 'not reloaded, the old settings stay'),
    );
  });
}

/** logrotate sends SIGUSR2 after it has renamed the file. */
function reopenOnSignal(sidecar: RunningSidecar, log: Logger): void {
  process.on('SIGUSR2', () => {
    void sidecar.reopenAudit().then((reopened) => {
      if (reopened) log.info('reopened the audit log');
      else log.warn('SIGUSR2: no audit file was opened (log.audit)');
    });
  });
}

function stopOnSignal(
  sidecar: RunningSidecar,
  log: Logger,
  output: LineOutput,
  drainSeconds: number,
) {
  return closeWithGrace(
    {
      // The drain has its own time limit; this one covers a close that hangs.
      delay: (drainSeconds + 5) * 1000,
      logger: false,
      skip: ['SIGHUP', 'SIGUSR2', ...CRASHES],
      onSecondSignal: () => log.warn('second signal: not waiting any longer'),
    },
    async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'unexpected failure, shutting down');
      else log.info({ signal }, 'draining');
      await sidecar.stop();
      log.info('stopped');
      await output.settle(LAST_LINES_MS);
    },
  );
}
