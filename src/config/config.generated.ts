// Written by "npm run schema" from src/config/schema.ts.

/** One rule of `routes`; the first that fits decides. */
export interface RouteRule {
  methods: string[];
  /** Exact path below /backend-api/, or a prefix that ends in /*; a * before the end is any one segment; no dot segments */
  path: string;
  auth: 'assertion' | 'bearer' | 'none' | 'deny';
}

/** What a route does with credentials. */
export type RouteAuth = RouteRule['auth'];

/** The configuration, complete and checked. */
export interface Config {
  /** For editors; ignored */
  readonly $schema?: string;
  readonly listen: {
    /** Listening address */
    host: string;
    /** TCP port; 0 picks a free one */
    port: number;
    /** Path of a Unix socket; replaces host and port */
    socket: string | null;
    /** File mode of the socket, three octal digits */
    socketMode: string;
    tls: {
      /** PEM file with the certificate and, behind it, those of its issuers; null means plain HTTP */
      certFile: string | null;
      /** PEM file with the key of the certificate */
      keyFile: string | null;
      /** PEM file with the authorities of client certificates; null asks for none */
      clientCaFile: string | null;
      /** DNS names or SPIFFE ids; a client certificate with one of them stands for a client token. Limits may follow a name, as in the tokens file */
      clientNames: string[];
    };
  };
  readonly admin: {
    listen: {
      /** Listening address */
      host: string;
      /** TCP port on which status, events, metrics and reload are served, and nowhere else; null, with no socket: where clients call */
      port: number | null;
      /** Path of a Unix socket; replaces host and port */
      socket: string | null;
      /** File mode of the socket, three octal digits */
      socketMode: string;
      tls: {
        /** PEM file with the certificate and, behind it, those of its issuers; null means plain HTTP */
        certFile: string | null;
        /** PEM file with the key of the certificate */
        keyFile: string | null;
        /** PEM file with the authorities of client certificates; null asks for none */
        clientCaFile: string | null;
        /** DNS names or SPIFFE ids; a client certificate with one of them stands for a client token. Limits may follow a name, as in the tokens file */
        clientNames: string[];
      };
    };
  };
  /** Folder of auth.json; null means $CODEX_HOME, then ~/.codex */
  readonly codexHome: string | null;
  readonly store: {
    /** Where the credential is kept: auth.json in codexHome, or one row in PostgreSQL that several sidecars share */
    kind: 'file' | 'postgres';
    /** Name of the row: up to 63 of a-z 0-9 . _ - */
    name: string;
    /** PEM file with the authority of the database, if it is not a public one */
    caFile: string | null;
    /** JWK Set that seals the row, as "store key" prints one */
    keyFile: string | null;
    /** How often the row is looked at for changes of others */
    pollSeconds: number;
    /** Name of this sidecar in the row; null means the host name */
    replica: string | null;
    /** How long before its end an access token is refreshed; null: 10 minutes, which is 5 before Codex, with a shared store a tenth of its life */
    refreshAheadSeconds: number | null;
  };
  readonly agentIdentity: {
    /** jwtOnly: an identity only if the credential is one; chatgptAuth: a ChatGPT login registers one */
    policy: 'jwtOnly' | 'chatgptAuth';
    /** What an assertion route does without an identity: respond with 503, or visibly send the bearer */
    onUnavailable: 'error' | 'bearer';
    /** A run task or runtime instance that the upstream rejects: register a new one, or pass the rejection on and register nothing */
    onTaskRejected: 'reregister' | 'error';
    /** runTask: an agent with a run task, kept with the login; runtimeInstance: an instance in memory, as Codex has it behind a feature switch; not proven against the real service */
    form: 'runTask' | 'runtimeInstance';
    /** What goes with form runtimeInstance: the assertion beside the bearer, or the assertion alone */
    headers: 'dual' | 'assertionOnly';
    /** Shortest time between two registrations */
    minRegistrationIntervalSeconds: number;
  };
  readonly upstream: {
    chatgptBaseUrl: string;
    openaiBaseUrl: string;
    authApiBaseUrl: string;
    /** Base of the JWKS; null means chatgptBaseUrl */
    jwksBaseUrl: string | null;
    oauthIssuer: string;
    /** Token endpoint; null means /oauth/token of the issuer */
    oauthTokenUrl: string | null;
    /** Revocation endpoint; null means /oauth/revoke of the issuer */
    oauthRevokeUrl: string | null;
    /** Where runtime instances are registered; null means /agent/register of the issuer */
    instanceRegistrationUrl: string | null;
    /** PEM file with additional certificate authorities */
    caFile: string | null;
    /** For upstreams with https: "env" (HTTPS_PROXY, NO_PROXY), null, or a URL */
    proxy: string | null;
    /** Concurrent requests per origin; beyond that 503 */
    maxConnections: number | null;
    /** How long an unused connection is kept where the upstream gives no hint */
    idleSeconds: number;
    /** Connections over TLS that stand ready for the next request or upgrade */
    readyConnections: number;
    /** How long after the last request they do */
    readySeconds: number;
  };
  /** null means the built-in table */
  readonly routes: RouteRule[] | null;
  readonly clients: {
    /** File of client tokens, as the command "token" writes it */
    tokensFile: string | null;
    /** Names or addresses that a Host header may hold; an entry with a port allows only that port */
    allowedHosts: string[];
    /** Exact web origins that may call, such as https://ui.example */
    allowedOrigins: string[];
  };
  readonly limits: {
    /** Largest request body */
    bodyBytes: number;
    /** Bytes of one body kept for a replay */
    replayBytes: number;
    /** Bytes of all kept bodies */
    replayTotalBytes: number;
    /** Longest wait for running streams at shutdown */
    drainSeconds: number;
  };
  readonly usage: {
    /** Whether responses are read as they pass, to count the tokens of each client */
    enabled: boolean;
    /** File that keeps what the clients have used today over a restart; null keeps none */
    file: string | null;
  };
  readonly metrics: {
    /** Whether GET /metrics exists */
    enabled: boolean;
  };
  readonly log: {
    /** Least severe level that is logged */
    level: 'info' | 'fatal' | 'error' | 'warn' | 'debug' | 'trace' | 'silent';
    /** How a line of the log says its level: "warn", or 40 as pino has it */
    levelNames: 'words' | 'numbers';
    /** Audit log: a file, "stdout" or "-"; null writes none */
    audit: string | null;
  };
}
