import { Ajv, type ErrorObject } from 'ajv';
import { type Static, Type } from 'typebox';
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
      tokensFile: text('File of client tokens, one name:sha256 a line'),
      allowedHosts: Type.Array(Type.String(), { default: [] }),
      allowedOrigins: Type.Array(Type.String(), { default: [] }),
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
        description: 'Kept for later: there are no metrics yet',
      }),
    }),
    log: section({
      level: words(
        ['info', 'fatal', 'error', 'warn', 'debug', 'trace', 'silent'],
        'Least severe level that is logged',
      ),
      audit: text('Kept for later: there is no audit log yet; setting it is refused'),
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

const validate = new Ajv({ allErrors: true, useDefaults: true, verbose: true }).compile(
  ConfigSchema,
);

/**
 * Merges the layers (later ones win), fills in the defaults and checks everything.
 * @throws ConfigError with one line that names the key and the remedy
 */
export function resolveConfig(...layers: PartialConfig[]): Config {
  const merged = layers.reduce((base, layer) => merge(base, layer), {});
  if (!validate(merged)) throw new ConfigError(describe(validate.errors ?? []));
  const config = merged as Static<typeof ConfigSchema>;
  for (const [key, value] of Object.entries(config.upstream)) {
    if (key.endsWith('Url') && typeof value === 'string') checkUrl(`upstream.${key}`, value);
  }
  if (config.log.audit !== null) {
    throw new ConfigError('log.audit cannot be set yet: this version writes no audit log');
  }
  const { proxy } = config.upstream;
  if (proxy !== null && proxy !== 'env') checkProxy(proxy);
  return deepFreeze(config);
}

/** The configuration layer that the environment gives. */
export function environmentLayer(env: Record<string, string | undefined>): PartialConfig {
  const value = (name: string) => env[name]?.trim() || undefined;
  const port = value('SIDECAR_PORT');
  return dropUndefined({
    listen: dropUndefined({
      host: value('SIDECAR_HOST'),
      port: port !== undefined && /^\d+$/.test(port) ? Number(port) : port,
      socket: value('SIDECAR_SOCKET'),
    }),
    codexHome: value('CODEX_HOME'),
    agentIdentity: dropUndefined({ policy: value('SIDECAR_AGENT_IDENTITY_POLICY') }),
    upstream: dropUndefined({
      chatgptBaseUrl: value('SIDECAR_CHATGPT_BASE_URL'),
      authApiBaseUrl:
        value('CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL') ?? value('CODEX_AUTHAPI_BASE_URL'),
      jwksBaseUrl: value('CODEX_AGENT_IDENTITY_JWKS_BASE_URL'),
      oauthTokenUrl: value('CODEX_REFRESH_TOKEN_URL_OVERRIDE'),
    }),
    clients: dropUndefined({ tokensFile: value('SIDECAR_CLIENT_TOKENS_FILE') }),
    log: dropUndefined({ level: value('SIDECAR_LOG_LEVEL') }),
  });
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
}

function describe(problems: ErrorObject[]): string {
  const unknown = problems.find((problem) => problem.keyword === 'additionalProperties');
  if (unknown) return describeUnknownKey(unknown);
  const structural = new Set(['type', 'anyOf']);
  const problem = problems.find((candidate) => !structural.has(candidate.keyword)) ?? problems[0];
  if (!problem) return 'the configuration is not valid';
  const key = keyOf(problem.instancePath) || 'the configuration';
  if (problem.keyword === 'enum') {
    return `${key} must be one of ${(problem.params.allowedValues as unknown[]).join(', ')}`;
  }
  if (problem.keyword === 'pattern') {
    return `${key} is not valid: ${problem.parentSchema?.description ?? problem.message}`;
  }
  if (!structural.has(problem.keyword)) return `${key} ${problem.message ?? 'is not valid'}`;
  const kinds = problems
    .filter((other) => other.instancePath === problem.instancePath && other.keyword === 'type')
    .map((other) => String(other.params.type));
  return `${key} must be ${[...new Set(kinds)].join(' or ')}`;
}

function describeUnknownKey(problem: ErrorObject): string {
  const name = String(problem.params.additionalProperty);
  const parent = keyOf(problem.instancePath);
  const known = Object.keys((problem.parentSchema?.properties as object | undefined) ?? {});
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const full = parent ? `${parent}.${name}` : name;
  const close = nearest && nearest.distance <= Math.max(2, nearest.candidate.length / 2);
  const hint = close ? `did you mean "${nearest.candidate}"?` : `known keys: ${known.join(', ')}`;
  return `unknown key "${full}"; ${hint}`;
}

function keyOf(instancePath: string): string {
  return instancePath.slice(1).replaceAll('/', '.');
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change =
        (row[j - 1] ?? 0) + (a[i - 1]?.toLowerCase() === b[j - 1]?.toLowerCase() ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
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
