import type { Dispatcher } from 'undici';
import { ConfigError } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';
import { type ClientCertificates, parseClientNames } from '../clients/client-certificates.ts';
import type { ClientTokens } from '../clients/client-tokens.ts';
import { checkCountersFile } from '../clients/counters-file.ts';
import { adminPlace, mainPlace, type Place, placesOf } from '../config/places.ts';
import type { Config } from '../config/resolve.ts';
import { checkAuditTarget } from '../telemetry/audit-log.ts';
import { createDispatcher } from '../upstream/dispatcher.ts';
import { readAuthorities } from './authorities.ts';
import { plainHttpBeyondLoopback } from './plain-http.ts';
import type { Settings } from './settings.ts';
import { readTls, type TlsFiles, type TlsRead, tlsFilesOf } from './tls-files.ts';
import type { TokensFile, TokensRead } from './tokens-file.ts';

/** Where the client tokens come from; asked again at every reload. */
export interface TokenSource extends Pick<TokensFile, 'read' | 'close'> {
  /** Whether a refresh leaves the client the id token that it has. */
  readonly keepsIdToken?: boolean;
}

/** What a start found in its settings, and why it is refused. */
export interface Preflight {
  /** Empty when a sidecar may start. */
  refusals: Refusal[];
  /** null when it is refused. */
  dispatcher: Dispatcher | null;
  clientTokens: TokensRead | null;
  listener: Listener | null;
  /** The operator's own; null also when there is none. */
  admin: Listener | null;
  /** Lines for the log: what is worth a look and refused by nobody. */
  warnings: string[];
}

/** What a listener needs. */
export interface Listener {
  place: Place;
  /** null: plain HTTP. */
  tls: { files: TlsFiles; read: TlsRead } | null;
  /** null: no client certificate is asked for. */
  certificates: ClientCertificates | null;
}

/** Something in the settings with which no sidecar may start. */
interface Refusal {
  about: 'config' | 'client tokens' | 'audit log' | 'certificate' | 'usage file';
  error: ConfigError;
}

/**
 * Checks everything that the settings name and a start refuses. Makes no file and binds no address:
 * `serve` ends with the first refusal, and `doctor` shows all of them.
 */
export async function preflight(
  settings: Settings,
  tokens: Pick<TokenSource, 'read'>,
  allowUnauthenticated: boolean,
): Promise<Preflight> {
  const { clients, log } = settings.config;
  const places = placesOf(settings.config);
  const refusals: Refusal[] = [];
  const check = async <T>(about: Refusal['about'], work: () => T | Promise<T>) => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      refusals.push({ about, error });
      return null;
    }
  };
  // A secret that cannot be read is a wrong start, not a credential that fails later.
  await check('config', settings.credentials);
  const dispatcher = await check('config', () => openDispatcher(settings));
  const [main, admin] = await Promise.all(
    [mainPlace(settings.config), adminPlace(settings.config)].map((place) =>
      check('certificate', () => place && openListener(place)),
    ),
  );
  const read = () => tokens.read(clients.tokensFile, true);
  const clientTokens = await check('client tokens', read);
  const exposed = await check('client tokens', () =>
    clientTokens ? checkExposure(places, clientTokens.tokens, allowUnauthenticated) : null,
  );
  await check('audit log', () => checkAuditTarget(log.audit));
  await check('usage file', () => checkUsage(settings.config));
  const plain = places.map(plainHttpBeyondLoopback).filter((one) => one !== null);
  const warnings = [
    ...settings.warnings,
    ...(exposed ? [exposed] : []),
    ...plain.map(({ problem, remedy }) => `${problem}; ${remedy}`),
  ];
  return {
    refusals,
    dispatcher,
    clientTokens,
    listener: main ?? null,
    admin: admin ?? null,
    warnings,
  };
}

/** @throws ConfigError */
async function openListener(place: Place): Promise<Listener> {
  const files = tlsFilesOf(place);
  if (files === null) return { place, tls: null, certificates: null };
  const certificates =
    files.clientCaFile === null
      ? null
      : parseClientNames(`${files.key}.clientNames`, place.listen.tls.clientNames);
  return { place, tls: { files, read: await readTls(files) }, certificates };
}

/** @throws ConfigError */
async function checkUsage({ usage, store }: Config): Promise<void> {
  if (usage.file === null) return;
  if (store.kind === 'postgres') {
    throw new ConfigError(
      'usage.file is set and store.kind is "postgres", where all sidecars count together; set usage.file to null',
    );
  }
  await checkCountersFile(usage.file);
}

/**
 * The way out that the settings describe.
 * @throws ConfigError when a file of authorities or the proxy cannot be used
 */
export async function openDispatcher(settings: Settings): Promise<Dispatcher> {
  const { config, proxyEnvironment } = settings;
  const { proxy, chatgptBaseUrl, openaiBaseUrl } = config.upstream;
  const { idleSeconds, readyConnections, readySeconds } = config.upstream;
  const isEncrypted = Object.values(config.upstream).some((value) =>
    String(value).startsWith('https:'),
  );
  return createDispatcher({
    authorities: await readAuthorities(settings),
    // Without an upstream with https no proxy is used, and a wrong one stops nobody.
    proxy: isEncrypted ? proxy : null,
    proxyEnvironment,
    idleMs: idleSeconds * 1000,
    ready: {
      origins: [chatgptBaseUrl, openaiBaseUrl].map((url) => new URL(url).origin),
      count: readyConnections,
      forMs: readySeconds * 1000,
    },
  });
}

/**
 * A listener that other machines can reach, and that asks for neither token nor certificate, would lend
 * the account to all of them.
 * @param places what is bound, and at a reload also what the next start would bind
 * @returns a line for the log where that is allowed
 * @throws ConfigError where it is not
 */
export function checkExposure(
  places: readonly Place[],
  tokens: ClientTokens | null,
  allowUnauthenticated: boolean,
): string | null {
  const exposed = places.find(
    ({ listen: { socket, host, tls } }) =>
      socket === null && !isLoopbackHost(host) && tls.clientCaFile === null,
  );
  if (tokens || !exposed) return null;
  const { key, listen } = exposed;
  if (allowUnauthenticated) {
    return `anyone who reaches ${listen.host} can use the account (--allow-unauthenticated)`;
  }
  throw new ConfigError(
    `${key}.host ${listen.host} is not loopback: set clients.tokensFile, or pass --allow-unauthenticated`,
  );
}
