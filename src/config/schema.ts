import { Type } from 'typebox';

// Nothing imports this at run time: `npm run schema` writes the type down in `config.generated.ts`
// and the check in `validator.generated.ts`. Loading TypeBox would take 18 MB (measured).

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()], { default: null });
const section = <T extends Parameters<typeof Type.Object>[0]>(properties: T) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
const text = (description: string) => nullable(Type.String({ minLength: 1, description }));
const count = (value: number, description: string) =>
  Type.Integer({ minimum: 0, default: value, description });
const url = (value: string) => Type.String({ default: value });
const words = <T extends string>(values: readonly [T, ...T[]], description: string) =>
  Type.Enum([...values], { default: values[0], description });

/** One rule of `routes`. */
export const RouteSchema = Type.Object(
  {
    methods: Type.Array(
      Type.String({
        pattern: '^([A-Z]+|GET\\+upgrade|\\*)$',
        description: 'Upper case; "GET+upgrade" is the WebSocket upgrade alone, "*" is any',
      }),
      { minItems: 1 },
    ),
    path: Type.String({
      description:
        'Exact path below /backend-api/, or a prefix that ends in /*; a * before the end is any one segment; no dot segments',
      pattern: "^(?!.*/\\.{1,2}(/|$))/backend-api(/([A-Za-z0-9._~!$&'()+,=:@-]+|\\*))+$",
    }),
    auth: Type.Enum(['assertion', 'bearer', 'none', 'deny']),
  },
  { additionalProperties: false },
);

// Made anew for each listener, so that no two keys share a schema.
const host = () =>
  Type.String({ minLength: 1, default: '127.0.0.1', description: 'Listening address' });
const socketMode = () =>
  Type.String({
    pattern: '^0?[0-7]{3}$',
    default: '0600',
    description: 'File mode of the socket, three octal digits',
  });
/** TLS on a listener. */
const tls = () =>
  section({
    certFile: text(
      'PEM file with the certificate and, behind it, those of its issuers; null means plain HTTP',
    ),
    keyFile: text('PEM file with the key of the certificate'),
    clientCaFile: text('PEM file with the authorities of client certificates; null asks for none'),
    clientNames: Type.Array(Type.String(), {
      default: [],
      description:
        'DNS names or SPIFFE ids; a client certificate with one of them stands for a client token. Limits may follow a name, as in the tokens file',
    }),
  });

/** The one source of the configuration: its type, defaults, checks and JSON Schema. */
export const ConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; ignored' })),
    listen: section({
      host: host(),
      port: Type.Integer({
        minimum: 0,
        maximum: 65535,
        default: 8787,
        description: 'TCP port; 0 picks a free one',
      }),
      socket: text('Path of a Unix socket; replaces host and port'),
      socketMode: socketMode(),
      tls: tls(),
    }),
    admin: section({
      listen: section({
        host: host(),
        port: nullable(
          Type.Integer({
            minimum: 0,
            maximum: 65535,
            description:
              'TCP port on which status, events, metrics and reload are served, and nowhere else; null, with no socket: where clients call',
          }),
        ),
        socket: text('Path of a Unix socket; replaces host and port'),
        socketMode: socketMode(),
        tls: tls(),
      }),
    }),
    codexHome: text('Folder of auth.json; null means $CODEX_HOME, then ~/.codex'),
    store: section({
      kind: words(
        ['file', 'postgres'],
        'Where the credential is kept: auth.json in codexHome, or one row in PostgreSQL that several sidecars share',
      ),
      name: Type.String({
        pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
        default: 'default',
        description: 'Name of the row: up to 63 of a-z 0-9 . _ -',
      }),
      caFile: text('PEM file with the authority of the database, if it is not a public one'),
      keyFile: text('JWK Set that seals the row, as "store key" prints one'),
      pollSeconds: Type.Integer({
        minimum: 1,
        maximum: 3600,
        default: 1,
        description: 'How often the row is looked at for changes of others',
      }),
      replica: text('Name of this sidecar in the row; null means the host name'),
      refreshAheadSeconds: nullable(
        Type.Integer({
          minimum: 60,
          maximum: 864000,
          description:
            'How long before its end an access token is refreshed; null: 10 minutes, which is 5 before Codex, with a shared store a tenth of its life',
        }),
      ),
    }),
    agentIdentity: section({
      policy: words(
        ['jwtOnly', 'chatgptAuth'],
        'jwtOnly: an identity only if the credential is one; chatgptAuth: a ChatGPT login registers one',
      ),
      onUnavailable: words(
        ['error', 'bearer'],
        'What an assertion route does without an identity: respond with 503, or visibly send the bearer',
      ),
      onTaskRejected: words(
        ['reregister', 'error'],
        'A run task or runtime instance that the upstream rejects: register a new one, or pass the rejection on and register nothing',
      ),
      form: words(
        ['runTask', 'runtimeInstance'],
        'runTask: an agent with a run task, kept with the login; runtimeInstance: an instance in memory, as Codex has it behind a feature switch; not proven against the real service',
      ),
      headers: words(
        ['dual', 'assertionOnly'],
        'What goes with form runtimeInstance: the assertion beside the bearer, or the assertion alone',
      ),
      minRegistrationIntervalSeconds: count(60, 'Shortest time between two registrations'),
    }),
    upstream: section({
      chatgptBaseUrl: url('https://chatgpt.com/backend-api'),
      openaiBaseUrl: url('https://api.openai.com/v1'),
      authApiBaseUrl: url('https://auth.openai.com/api/accounts'),
      jwksBaseUrl: text('Base of the JWKS; null means chatgptBaseUrl'),
      oauthIssuer: url('https://auth.openai.com'),
      oauthTokenUrl: text('Token endpoint; null means /oauth/token of the issuer'),
      oauthRevokeUrl: text('Revocation endpoint; null means /oauth/revoke of the issuer'),
      instanceRegistrationUrl: text(
        'Where runtime instances are registered; null means /agent/register of the issuer',
      ),
      caFile: text('PEM file with additional certificate authorities'),
      proxy: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
        default: 'env',
        description: 'For upstreams with https: "env" (HTTPS_PROXY, NO_PROXY), null, or a URL',
      }),
      maxConnections: nullable(
        Type.Integer({
          minimum: 1,
          description: 'Concurrent requests per origin; beyond that 503',
        }),
      ),
      idleSeconds: Type.Integer({
        minimum: 1,
        maximum: 600,
        default: 90,
        description: 'How long an unused connection is kept where the upstream gives no hint',
      }),
      readyConnections: Type.Integer({
        minimum: 0,
        maximum: 4,
        default: 1,
        description: 'Connections over TLS that stand ready for the next request or upgrade',
      }),
      readySeconds: Type.Integer({
        minimum: 1,
        maximum: 3600,
        default: 300,
        description: 'How long after the last request they do',
      }),
    }),
    routes: nullable(Type.Array(RouteSchema, { description: 'null means the built-in table' })),
    clients: section({
      tokensFile: text('File of client tokens, as the command "token" writes it'),
      allowedHosts: Type.Array(Type.String(), {
        default: [],
        description:
          'Names or addresses that a Host header may hold; an entry with a port allows only that port',
      }),
      allowedOrigins: Type.Array(Type.String(), {
        default: [],
        description: 'Exact web origins that may call, such as https://ui.example',
      }),
    }),
    limits: section({
      bodyBytes: count(268435456, 'Largest request body'),
      replayBytes: count(16777216, 'Bytes of one body kept for a replay'),
      replayTotalBytes: count(134217728, 'Bytes of all kept bodies'),
      drainSeconds: Type.Integer({
        minimum: 0,
        maximum: 86400,
        default: 20,
        description: 'Longest wait for running streams at shutdown',
      }),
    }),
    usage: section({
      enabled: Type.Boolean({
        default: true,
        description: 'Whether responses are read as they pass, to count the tokens of each client',
      }),
      file: text(
        'File that keeps what the clients have used today over a restart; null keeps none',
      ),
    }),
    metrics: section({
      enabled: Type.Boolean({
        default: true,
        description: 'Whether GET /metrics exists',
      }),
    }),
    log: section({
      level: words(
        ['info', 'fatal', 'error', 'warn', 'debug', 'trace', 'silent'],
        'Least severe level that is logged',
      ),
      levelNames: words(
        ['words', 'numbers'],
        'How a line of the log says its level: "warn", or 40 as pino has it',
      ),
      audit: text('Audit log: a file, "stdout" or "-"; null writes none'),
    }),
  },
  { additionalProperties: false, title: 'codex-auth-sidecar configuration' },
);
