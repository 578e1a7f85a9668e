import type { AccessRules } from '../access/caller.ts';
import type { ClientCertificates } from '../clients/client-certificates.ts';
import type { ClientTokens } from '../clients/client-tokens.ts';
import { adminPlace, mainPlace, type Place } from '../config/places.ts';
import type { Config, RouteRule } from '../config/resolve.ts';
import { DEFAULT_ROUTES, matchRoute } from '../proxy/routes.ts';

/** Sections that a reload applies; the others are read once, at start. */
const RELOADABLE = new Set(['routes', 'clients', 'agentIdentity']);

/** Those of clients, and those of the operator's own listener. */
interface Certificates {
  main: ClientCertificates | null;
  admin: ClientCertificates | null;
}

/** The one owner of the configuration in use, in the forms that every request needs. */
export class LiveConfig {
  readonly #certificates: Certificates;
  #config: Config;
  #rules: AccessRules;
  #adminRules: AccessRules | null;
  #routes: readonly RouteRule[];
  readonly #onChange: (() => void)[] = [];

  constructor(config: Config, tokens: ClientTokens | null, certificates: Certificates) {
    this.#certificates = certificates;
    this.#config = config;
    this.#rules = clientRules(config, tokens, certificates);
    this.#adminRules = operatorRules(config, tokens, certificates);
    this.#routes = config.routes ?? DEFAULT_ROUTES;
  }

  get config(): Config {
    return this.#config;
  }

  get rules(): AccessRules {
    return this.#rules;
  }

  /** Of the operator's own listener; null where there is none. */
  get adminRules(): AccessRules | null {
    return this.#adminRules;
  }

  get routes(): readonly RouteRule[] {
    return this.#routes;
  }

  /** Whether a rule lets such a request through. */
  readonly isRouted = (method: string, path: string, upgrade: boolean): boolean => {
    const rule = matchRoute(this.#routes, method, path, upgrade);
    return rule !== null && rule.auth !== 'deny';
  };

  /** Calls back when client tokens or routes may have changed. */
  onChange(call: () => void): void {
    this.#onChange.push(call);
  }

  /** Whether any client is held to limits. */
  get hasLimits(): boolean {
    const { tokens, certificates } = this.#rules;
    const clients = [...(tokens?.list ?? []), ...(certificates?.list ?? [])];
    return clients.some(({ limits }) => limits !== null);
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
    this.#rules = clientRules(this.#config, tokens, this.#certificates);
    this.#adminRules = operatorRules(this.#config, tokens, this.#certificates);
    this.#routes = routes ?? DEFAULT_ROUTES;
    for (const call of this.#onChange) call();
    return waiting;
  }
}

function clientRules(
  config: Config,
  tokens: ClientTokens | null,
  { main }: Certificates,
): AccessRules {
  return { ...placeRules(mainPlace(config), config), tokens, certificates: main };
}

function operatorRules(
  config: Config,
  tokens: ClientTokens | null,
  { admin }: Certificates,
): AccessRules | null {
  const place = adminPlace(config);
  if (place === null) return null;
  const rules = placeRules(place, config);
  // Whoever may open the socket is the operator; its mode decides that.
  return { ...rules, tokens: rules.viaSocket ? null : tokens, certificates: admin };
}

function placeRules({ listen }: Place, { clients }: Config) {
  return {
    viaSocket: listen.socket !== null,
    listenHost: listen.host,
    allowedHosts: clients.allowedHosts,
    allowedOrigins: clients.allowedOrigins,
  };
}
