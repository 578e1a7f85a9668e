// Written by "npm run schema" from config-schema.ts.
export const CONFIG_SCHEMA: object = {
  type: 'object',
  required: [
    'listen',
    'codexHome',
    'agentIdentity',
    'upstream',
    'routes',
    'clients',
    'limits',
    'metrics',
    'log',
  ],
  properties: {
    $schema: { type: 'string', description: 'For editors; ignored' },
    listen: {
      type: 'object',
      required: ['host', 'port', 'socket', 'socketMode'],
      properties: {
        host: {
          type: 'string',
          minLength: 1,
          default: '127.0.0.1',
          description: 'Listening address',
        },
        port: {
          type: 'integer',
          minimum: 0,
          maximum: 65535,
          default: 8787,
          description: 'TCP port; 0 picks a free one',
        },
        socket: {
          anyOf: [
            {
              type: 'string',
              minLength: 1,
              description: 'Path of a Unix socket; replaces host and port',
            },
            { type: 'null' },
          ],
          default: null,
        },
        socketMode: {
          type: 'string',
          pattern: '^0?[0-7]{3}$',
          default: '0600',
          description: 'File mode of the socket, three octal digits',
        },
      },
      additionalProperties: false,
      default: {},
    },
    codexHome: {
      anyOf: [
        {
          type: 'string',
          minLength: 1,
          description: 'Folder of auth.json; null means $CODEX_HOME, then ~/.codex',
        },
        { type: 'null' },
      ],
      default: null,
    },
    agentIdentity: {
      type: 'object',
      required: ['policy', 'onUnavailable', 'onTaskRejected', 'minRegistrationIntervalSeconds'],
      properties: {
        policy: {
          enum: ['jwtOnly', 'chatgptAuth'],
          default: 'jwtOnly',
          description:
            'jwtOnly: an identity only where the credential is one; chatgptAuth: a ChatGPT login registers one',
        },
        onUnavailable: {
          enum: ['error', 'bearer'],
          default: 'error',
          description:
            'What an assertion route does without an identity: answer 503, or visibly send the bearer',
        },
        onTaskRejected: {
          enum: ['reregister'],
          default: 'reregister',
          description: 'What a rejected run task leads to',
        },
        minRegistrationIntervalSeconds: {
          type: 'integer',
          minimum: 0,
          default: 60,
          description: 'Shortest time between two registrations',
        },
      },
      additionalProperties: false,
      default: {},
    },
    upstream: {
      type: 'object',
      required: [
        'chatgptBaseUrl',
        'openaiBaseUrl',
        'authApiBaseUrl',
        'jwksBaseUrl',
        'oauthTokenUrl',
        'oauthRevokeUrl',
        'caFile',
        'proxy',
        'maxConnections',
      ],
      properties: {
        chatgptBaseUrl: { type: 'string', default: 'https://chatgpt.com/backend-api' },
        openaiBaseUrl: { type: 'string', default: 'https://api.openai.com/v1' },
        authApiBaseUrl: { type: 'string', default: 'https://auth.openai.com/api/accounts' },
        jwksBaseUrl: {
          anyOf: [
            {
              type: 'string',
              minLength: 1,
              description: 'Base of the JWKS; null means chatgptBaseUrl',
            },
            { type: 'null' },
          ],
          default: null,
        },
        oauthTokenUrl: { type: 'string', default: 'https://auth.openai.com/oauth/token' },
        oauthRevokeUrl: { type: 'string', default: 'https://auth.openai.com/oauth/revoke' },
        caFile: {
          anyOf: [
            {
              type: 'string',
              minLength: 1,
              description: 'PEM file with further certificate authorities',
            },
            { type: 'null' },
          ],
          default: null,
        },
        proxy: {
          anyOf: [{ type: 'string', minLength: 1 }, { type: 'null' }],
          default: 'env',
          description: 'For upstreams with https: "env" (HTTPS_PROXY, NO_PROXY), null, or a URL',
        },
        maxConnections: {
          anyOf: [
            {
              type: 'integer',
              minimum: 1,
              description: 'Requests at once per origin; over it 503',
            },
            { type: 'null' },
          ],
          default: null,
        },
      },
      additionalProperties: false,
      default: {},
    },
    routes: {
      anyOf: [
        {
          type: 'array',
          items: {
            type: 'object',
            required: ['methods', 'path', 'auth'],
            properties: {
              methods: {
                type: 'array',
                items: {
                  type: 'string',
                  pattern: '^([A-Z]+|GET\\+upgrade|\\*)$',
                  description:
                    'Upper case; "GET+upgrade" is the WebSocket upgrade alone, "*" is any',
                },
                minItems: 1,
              },
              path: {
                type: 'string',
                description:
                  'Exact path below /backend-api/, or a prefix that ends in /*; no dot segments',
                pattern:
                  "^(?!.*/\\.{1,2}(/|$))/backend-api/([A-Za-z0-9._~!$&'()+,=:@-]+/)*([A-Za-z0-9._~!$&'()+,=:@-]+|\\*)$",
              },
              auth: { enum: ['assertion', 'bearer', 'none', 'deny'] },
            },
            additionalProperties: false,
          },
          description: 'null means the built-in table',
        },
        { type: 'null' },
      ],
      default: null,
    },
    clients: {
      type: 'object',
      required: ['tokensFile', 'allowedHosts', 'allowedOrigins'],
      properties: {
        tokensFile: {
          anyOf: [
            {
              type: 'string',
              minLength: 1,
              description: 'File of client tokens, as the command "token" writes it',
            },
            { type: 'null' },
          ],
          default: null,
        },
        allowedHosts: {
          type: 'array',
          items: { type: 'string' },
          default: [],
          description:
            'Names or addresses that a Host header may hold; with a port only on that one',
        },
        allowedOrigins: {
          type: 'array',
          items: { type: 'string' },
          default: [],
          description: 'Exact web origins that may call, such as https://ui.example',
        },
      },
      additionalProperties: false,
      default: {},
    },
    limits: {
      type: 'object',
      required: ['bodyBytes', 'replayBytes', 'replayTotalBytes', 'drainSeconds'],
      properties: {
        bodyBytes: {
          type: 'integer',
          minimum: 0,
          default: 268435456,
          description: 'Largest request body',
        },
        replayBytes: {
          type: 'integer',
          minimum: 0,
          default: 16777216,
          description: 'Bytes of one body kept for a replay',
        },
        replayTotalBytes: {
          type: 'integer',
          minimum: 0,
          default: 134217728,
          description: 'Bytes of all kept bodies',
        },
        drainSeconds: {
          type: 'integer',
          minimum: 0,
          maximum: 86400,
          default: 20,
          description: 'Longest wait for running streams at shutdown',
        },
      },
      additionalProperties: false,
      default: {},
    },
    metrics: {
      type: 'object',
      required: ['enabled'],
      properties: {
        enabled: { type: 'boolean', default: true, description: 'Whether GET /metrics exists' },
      },
      additionalProperties: false,
      default: {},
    },
    log: {
      type: 'object',
      required: ['level', 'audit'],
      properties: {
        level: {
          enum: ['info', 'fatal', 'error', 'warn', 'debug', 'trace', 'silent'],
          default: 'info',
          description: 'Least severe level that is logged',
        },
        audit: {
          anyOf: [
            {
              type: 'string',
              minLength: 1,
              description: 'Audit log: a file, "stdout" or "-"; null writes none',
            },
            { type: 'null' },
          ],
          default: null,
        },
      },
      additionalProperties: false,
      default: {},
    },
  },
  additionalProperties: false,
  title: 'codex-auth-sidecar configuration',
};
