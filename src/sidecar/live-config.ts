import type { AccessRules } from '../access/caller.ts';
import type { ClientCertificates } from '../clients/client-certificates.ts';
import type { ClientTokens } from '../clients/client-tokens.ts';
import type { Config, RouteRule } from '../config/resolve.ts';
import { DEFAULT_ROUTES } from '../proxy/routes.ts';

/** Sections that a reload applies; the others are read once, at start. */
const RELOADABLE = new Set(['routes', 'clients', 'agentIdentity']);

/** The one owner of the configuration in use, in the forms that every request needs. */
export class LiveConfig {
  readonly #certificates: ClientCertificates | null;
  #config: Config;
  #rules: AccessRules;
  #routes: readonly RouteRule[];
  /** Called when the client tokens may have changed. */
  onTokens: () => void = () => undefined;

  constructor(
    config: Config,
    tokens: ClientTokens | null,
    certificates: ClientCertificates | null,
  ) {
    this.#certificates = certificates;
    this.#config = config;
    this.#rules = accessRules(config, tokens, certificates);
    this.#routes = config.routes ?? DEFAULT_ROUTES;
  }

  get config(): Config {
    return this.#config;
  }

  get rules(): AccessRules {
    return this.#rules;
  }

  get routes(): readonly RouteRule[] {
    return this.#routes;
  }

  /** Applies what can change while we run. @returns sections that differ and need a restart */
  apply(next: Config, tokens: ClientTokens | null): string[] {
    const sections = Object.keys(next) as (keyof Config)[];
    const waiting = sections.filter(
      (name) =>
        !RELOADABLE.has(name) && JSON.stringify(next[name]) !== JSON.stringify(this.#config[name]),
    );
    const { routes, clients, agentIdentity } = next;
    this.#config = Object.freeze({ ...this.#config, routes, clients, agentIdentity });
    this.#rules = accessRules(this.#config, tokens, this.#certificates);
    this.#routes = routes ?? DEFAULT_ROUTES;
    this.onTokens();
    return waiting;
  }
}

function accessRules(
  { listen, clients }: Config,
  tokens: ClientTokens | null,
  certificates: ClientCertificates | null,
): AccessRules {
  return {
    viaSocket: listen.socket !== null,
    listenHost: listen.host,
    allowedHosts: clients.allowedHosts,
    allowedOrigins: clients.allowedOrigins,
    tokens,
    certificates,
  };
}
