import { Ajv } from 'ajv';
import { type Static, Type } from 'typebox';
import { describeProblems } from './config-problems.ts';
import { parseHost } from './host.ts';
import { isLoopbackHost } from './loopback.ts';

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

/** What a route does with credentials. */
export const ROUTE_AUTH = ['assertion', 'bearer', 'none', 'deny'] as const;

const Route = Type.Object(
  {
    methods: Type.Array(
      Type.String({
        pattern: '^([A-Z]+|GET\\+upgrade|\\*)$',
        description: 'Upper case; "GET+upgrade" is the WebSocket upgrade alone, "*" is any',
      }),
      { minItems: 1 },
    ),
    path: Type.String({
      description: 'Exact path below /backend-api/, or a prefix that ends in /*; no dot segments',
      pattern:
        "^(?!.*/\\.{1,2}(/|$))/backend-api/([A-Za-z0-9._~!$&'()+,=:@-]+/)*([A-Za-z0-9._~!$&'()+,=:@-]+|\\*)$",
    }),
    auth: Type.Enum([...ROUTE_AUTH]),
  },
  { additionalProperties: false },
);

/** The one source of the configuration: its type, defaults, checks and JSON Schema. */
export const ConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; ignored' })),
    listen: section({
      host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Listening address' }),
      port: Type.Integer({
        minimum: 0,
        maximum: 65535,
        default: 8787,
        description: 'TCP port; 0 picks a free one',
      }),
      socket: text('Path of a Unix socket; replaces host and port'),
      socketMode: Type.String({
        pattern: '^0?[0-7]{3}$',
        default: '0600',
        description: 'File mode of the socket, three octal digits',
      }),
    }),
    codexHome: text('Folder of auth.json; null means $CODEX_HOME, then ~/.codex'),
    agentIdentity: section({
      policy: words(
        ['jwtOnly', 'chatgptAuth'],
        'jwtOnly: an identity only where the credential is one; chatgptAuth: a ChatGPT login registers one',
      ),
      onUnavailable: words(
        ['error', 'bearer'],
        'What an assertion route does without an identity: answer 503, or visibly send the bearer',
      ),
      onTaskRejected: words(['reregister'], 'What a rejected run task leads to'),
      minRegistrationIntervalSeconds: count(60, 'Shortest time between two registrations'),
    }),
    upstream: section({
      chatgptBaseUrl: url('https://chatgpt.com/backend-api'),
      openaiBaseUrl: url('https://api.openai.com/v1'),
      authApiBaseUrl: url('https://auth.openai.com/api/accounts'),
      jwksBaseUrl: text('Base of the JWKS; null means chatgptBaseUrl'),
      oauthTokenUrl: url('https://auth.openai.com/oauth/token'),
      oauthRevokeUrl: url('https://auth.openai.com/oauth/revoke'),
      caFile: text('PEM file with further certificate authorities'),
      proxy: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
        default: 'env',
        description: '"env" (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), null, or a URL',
      }),
      maxConnections: nullable(
        Type.Integer({ minimum: 1, description: 'Requests at once per origin; over it 503' }),
      ),
    }),
    routes: nullable(Type.Array(Route, { description: 'null means the built-in table' })),
    clients: section({
      tokensFile: text('File of client tokens, as the command "token" writes it'),
      allowedHosts: Type.Array(Type.String(), {
        default: [],
        description: 'Names or addresses that a Host header may hold; with a port only on that one',
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
      audit: text('Audit log: a file, "stdout" or "-"; null writes none'),
    }),
  },
  { additionalProperties: false, title: 'codex-auth-sidecar configuration' },
);

export type Config = Readonly<Static<typeof ConfigSchema>>;
export type RouteRule = Static<typeof Route>;
export type RouteAuth = RouteRule['auth'];

/** A value somewhere in the configuration that is wrong; leads to exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Part of a configuration as a file, the environment or flags give it; not checked yet. */
export type PartialConfig = { [key: string]: unknown };

const validate = new Ajv({
  allErrors: true,
  useDefaults: true,
  verbose: true,
  // The schema itself is checked by a test, not at every start.
  meta: false,
  validateSchema: false,
}).compile(ConfigSchema);

/**
 * Merges the layers (later ones win), fills in the defaults and checks everything.
 * @throws ConfigError with one line that names the key and the remedy
 */
export function resolveConfig(...layers: PartialConfig[]): Config {
  const merged = layers.reduce((base, layer) => merge(base, layer), {});
  if (!validate(merged)) throw new ConfigError(describeProblems(validate.errors ?? []));
  const config = merged as Static<typeof ConfigSchema>;
  for (const [key, value] of Object.entries(config.upstream)) {
    if (key.endsWith('Url') && typeof value === 'string') checkUrl(`upstream.${key}`, value);
  }
  config.clients.allowedHosts.forEach(checkHost);
  config.clients.allowedOrigins.forEach(checkOrigin);
  const { proxy } = config.upstream;
  if (proxy !== null && proxy !== 'env') checkProxy(proxy);
  trimBaseUrls(config.upstream);
  return deepFreeze(config);
}

/** So that a path can be put behind each of them. */
function trimBaseUrls(upstream: { [key: string]: unknown }): void {
  for (const [key, value] of Object.entries(upstream)) {
    if (key.endsWith('BaseUrl') && typeof value === 'string') {
      upstream[key] = value.replace(/\/+$/, '');
    }
  }
}

export function dropUndefined(values: PartialConfig): PartialConfig {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

// A Map, because assigning a key named `__proto__` would set defaults that no check sees.
function merge(base: PartialConfig, layer: PartialConfig): PartialConfig {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(layer)) {
    const current = merged.get(key);
    merged.set(key, isRecord(current) && isRecord(value) ? merge(current, value) : clone(value));
  }
  return Object.fromEntries(merged);
}

function checkUrl(key: string, value: string): void {
  const parsed = URL.canParse(value) ? new URL(value) : null;
  if (!parsed || !/^https?:$/.test(parsed.protocol)) {
    throw new ConfigError(`${key} must be an https URL`);
  }
  if (parsed.protocol === 'http:' && !isLoopbackHost(parsed.hostname)) {
    throw new ConfigError(`${key} must use https; plain http is for loopback hosts only`);
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new ConfigError(`${key} must not hold a user, a password, a query or a fragment`);
  }
}

function checkProxy(value: string): void {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new ConfigError('upstream.proxy must be "env", null, or an http or https URL');
  }
  const { username, password } = new URL(value);
  if (username || password) {
    throw new ConfigError(
      'upstream.proxy must not hold a user or a password; leave it at "env" and set HTTPS_PROXY',
    );
  }
}

function checkHost(entry: string, index: number): void {
  if (parseHost(entry) !== null) return;
  throw new ConfigError(
    `clients.allowedHosts.${index} must be a host name or an address, with or without a port; no scheme, path or wildcard`,
  );
}

// What a browser sends: lower case, no default port, no path (RFC 6454, section 6.2).
function checkOrigin(entry: string, index: number): void {
  const isWeb = /^https?:/i.test(entry);
  const exact = isWeb
    ? URL.canParse(entry) && new URL(entry).origin === entry
    : /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d+)?$/.test(entry);
  if (exact && !entry.includes('*')) return;
  throw new ConfigError(
    `clients.allowedOrigins.${index} must be an exact origin such as https://ui.example, as a browser sends it: lower case, no default port, path or wildcard`,
  );
}

function isRecord(value: unknown): value is PartialConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function clone<T>(value: T): T {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value;
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}
