import { resolve } from 'node:path';
import type { AuthStore } from '../../auth-store/store.ts';
import { systemClock } from '../../base/clock.ts';
import { ConfigError, SidecarError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import type { OwnEnvironment } from '../../config/environment.ts';
import type { PartialConfig } from '../../config/resolve.ts';
import { type Selection, selectCredential } from '../../credentials/selection.ts';
import { trustSources } from '../../sidecar/authorities.ts';
import { openStore } from '../../sidecar/open-store.ts';
import { type Preflight, preflight } from '../../sidecar/preflight.ts';
import {
  type Environment,
  plainVariables,
  readNamedFile,
  readSettings,
  type Settings,
} from '../../sidecar/settings.ts';
import { TokensFile } from '../../sidecar/tokens-file.ts';
import { BackendClock } from '../../upstream/backend-clock.ts';
import { agentHome } from '../codex/home.ts';
import { checkCertificate } from './certificate.ts';
import {
  checkAgentLogin,
  checkCodex,
  checkCodexConfig,
  readIfThere,
  readProfiles,
} from './codex.ts';
import { checkCredential } from './credential.ts';
import { type Check, type Finding, failure, ok, runChecks } from './finding.ts';
import { checkListener } from './listener.ts';
import {
  checkAudit,
  checkAuthFile,
  checkClients,
  checkEncryption,
  checkLock,
  checkNode,
  checkUsageFile,
} from './local.ts';
import { checkStore } from './store.ts';
import { checkClock, checkJwks, checkUpstream, type Network, neededUpstreams } from './upstream.ts';

interface DoctorOptions {
  env: OwnEnvironment;
  configFile: string | null;
  flags: PartialConfig;
  /** The agent's `CODEX_HOME`; null means the one in `env`. */
  agentHome: string | null;
  nodeVersion: string;
  /** Gets each finding in order, as soon as it is known. */
  report: (finding: Finding) => void;
}

/** Here findings take the place of log lines. */
const SILENT = createLogger({ level: 'silent' });
/** Longer than any time limit within a check. */
const TIME_LIMIT_MS = 30_000;

/** Checks everything that a request needs. No check sends a credential or shows a secret. */
export async function doctor(options: DoctorOptions): Promise<Finding[]> {
  const { nodeVersion, report } = options;
  const env = plainVariables(options.env);
  const local = [{ name: 'node', run: () => [checkNode(nodeVersion)] }];
  const codex = { name: 'codex', run: async () => [await checkCodex(env)] };
  let checks: Check[];
  let close = async () => {};
  try {
    const { configFile, flags } = options;
    const home = options.agentHome === null ? agentHome(env) : resolve(options.agentHome);
    const settings = await readSettings(options.env, configFile, flags);
    const source = configFile ?? env.SIDECAR_CONFIG?.trim();
    const config = ok('config', source || 'defaults and environment');
    const found = await preflight(settings, new TokensFile(SILENT, () => undefined), false);
    close = async () => found.dispatcher?.destroy();
    const store = await openStore(settings, SILENT, 'command');
    close = async () => {
      await found.dispatcher?.destroy();
      await store.close();
    };
    const network = networkOf(settings, found);
    const selection = await selected(settings, store);
    checks = [
      { name: 'config', run: () => [config] },
      ...ownChecks(settings, found),
      ...storeChecks(settings, store),
      ...credentialChecks(settings, selection),
      ...upstreamChecks(settings, selection, network),
      codex,
      ...agentChecks(settings, found, env, home),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const finding = failure(
      'config',
      error.message,
      'fix it; nothing else can be checked until then',
    );
    checks = [{ name: 'config', run: () => [finding] }, codex];
  }
  try {
    return await runChecks([...local, ...checks], TIME_LIMIT_MS, report);
  } finally {
    await close();
  }
}

/** @throws ConfigError when the upstream connection or a named secret cannot be used */
function networkOf(settings: Settings, { dispatcher, refusals }: Preflight): Network {
  const refusal = refusals.find(({ about }) => about === 'config');
  if (refusal) throw refusal.error;
  if (!dispatcher) throw new Error('preflight gave neither a dispatcher nor a refusal');
  const { config, proxyEnvironment } = settings;
  return { dispatcher, proxy: config.upstream.proxy, proxyEnvironment };
}

async function selected(
  { credentials }: Settings,
  store: AuthStore,
): Promise<Selection | SidecarError> {
  const environment = await credentials();
  try {
    return await selectCredential(environment, () => store.load());
  } catch (error) {
    if (error instanceof SidecarError) return error;
    throw error;
  }
}

function ownChecks(settings: Settings, found: Preflight): Check[] {
  const { config } = settings;
  return [
    { name: 'client tokens', run: async () => [await checkClients(config, found)] },
    { name: 'encryption', run: () => checkEncryption(config) },
    { name: 'certificate', run: () => checkCertificate(config, found, systemClock()) },
    { name: 'audit log', run: () => checkAudit(config, found) },
    { name: 'usage file', run: () => checkUsageFile(config, found) },
    { name: 'authorities', run: () => [ok('authorities', trustSources(settings).join(', '))] },
  ];
}

function credentialChecks({ config }: Settings, selection: Selection | SidecarError): Check[] {
  const run = () => checkCredential(selection, config, systemClock());
  return [{ name: 'credential', run }];
}

function storeChecks(settings: Settings, store: AuthStore): Check[] {
  if (settings.config.store.kind === 'file') {
    return [
      { name: 'auth.json', run: () => checkAuthFile(settings.codexHome) },
      { name: 'lock', run: async () => [await checkLock()] },
    ];
  }
  return [{ name: 'store', run: () => checkStore(settings, store) }];
}

function upstreamChecks(
  { config }: Settings,
  found: Selection | SidecarError,
  network: Network,
): Check[] {
  const selection = found instanceof SidecarError ? null : found;
  const clock = new BackendClock(systemClock, SILENT);
  const checks = neededUpstreams(selection, config).map((url, index): Check => {
    if (index > 0) return { name: url, run: () => checkUpstream(url, network, null) };
    return {
      name: url,
      run: async () => [
        ...(await checkUpstream(url, network, clock)),
        checkClock(clock.skewSeconds),
      ],
    };
  });
  if (selection?.kind !== 'identityToken') return checks;
  const { jwksBaseUrl, chatgptBaseUrl } = config.upstream;
  const base = jwksBaseUrl ?? chatgptBaseUrl;
  const jwks = () => checkJwks(selection.token, base, network.dispatcher, systemClock());
  return [...checks, { name: 'JWKS', run: async () => [await jwks()] }];
}

function agentChecks(
  { config, codexHome }: Settings,
  { listener }: Preflight,
  env: Environment,
  home: string,
): Check[] {
  const certificate = listener?.tls?.read.certificate ?? null;
  return [
    { name: 'listener', run: () => checkListener(config, certificate) },
    {
      name: 'codex config',
      run: async () => {
        const input = {
          text: await readIfThere(home, 'config.toml'),
          path: `${home}/config.toml`,
          listen: config.listen,
          certificate,
          tokens: await readTokens(config.clients.tokensFile),
          env,
        };
        const profiles = (await readProfiles(home))
          .map((profile) => checkCodexConfig({ ...input, profile }))
          .filter(({ outcome }) => outcome !== 'ok');
        return [checkCodexConfig(input), ...profiles];
      },
    },
    { name: 'codex login', run: async () => [await checkAgentLogin(home, codexHome)] },
  ];
}

/** null also when the file cannot be read, which the check of client tokens reports. */
async function readTokens(path: string | null): Promise<string | null> {
  return path === null ? null : readNamedFile('clients.tokensFile', path).catch(() => null);
}
