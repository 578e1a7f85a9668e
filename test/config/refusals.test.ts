import t from 'tap';
import { ConfigError } from '../../src/base/errors.ts';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';

function refuses(config: string | PartialConfig, message: string): void {
  const layer = typeof config === 'string' ? (JSON.parse(config) as PartialConfig) : config;
  t.throws(() => resolveConfig(layer), new ConfigError(message), JSON.stringify(layer));
}

t.test('an unknown key is refused with the nearest one', async () => {
  refuses({ listn: {} }, 'unknown key "listn"; did you mean "listen"?');
  refuses({ listen: { prot: 1 } }, 'unknown key "listen.prot"; did you mean "port"?');
  refuses(
    { upstream: { chatgptBaseURL: 'https://x' } },
    'unknown key "upstream.chatgptBaseURL"; did you mean "chatgptBaseUrl"?',
  );
  refuses({ metrics: { colour: 1 } }, 'unknown key "metrics.colour"; known keys: enabled');
  refuses(
    { routes: [{ methods: ['GET'], path: '/backend-api/x', auth: 'deny', autth: 1 }] },
    'unknown key "routes.0.autth"; did you mean "auth"?',
  );
});

t.test('a key named __proto__ sets nothing behind the checks', async (t) => {
  const layer = JSON.parse('{"__proto__":{"listen":{"host":"0.0.0.0"}}}') as PartialConfig;
  t.throws(() => resolveConfig(layer), /^unknown key "__proto__"/);
  t.throws(() => resolveConfig({}, layer), /^unknown key "__proto__"/);
});

t.test('a wrong type or value names the key', async () => {
  refuses({ listen: { port: 'x' } }, 'listen.port must be integer');
  refuses({ listen: { port: 1.5 } }, 'listen.port must be integer');
  refuses({ listen: { port: 65536 } }, 'listen.port must be <= 65535');
  refuses({ listen: { socket: 5 } }, 'listen.socket must be string or null');
  refuses({ listen: null } as PartialConfig, 'listen must be object');
  refuses({ codexHome: [] }, 'codexHome must be string or null');
  refuses({ metrics: { enabled: 'yes' } }, 'metrics.enabled must be boolean');
  refuses({ limits: { drainSeconds: -1 } }, 'limits.drainSeconds must be >= 0');
  refuses({ upstream: { maxConnections: 0 } }, 'upstream.maxConnections must be >= 1');
  refuses({ clients: { allowedHosts: [1] } }, 'clients.allowedHosts.0 must be string');
  refuses(
    { agentIdentity: { policy: 'always' } },
    'agentIdentity.policy must be one of jwtOnly, chatgptAuth',
  );
  refuses(
    { agentIdentity: { onUnavailable: 'none' } },
    'agentIdentity.onUnavailable must be one of error, bearer',
  );
  refuses(
    { listen: { socketMode: '999' } },
    'listen.socketMode is not valid: File mode of the socket, three octal digits',
  );
});

t.test('what this version cannot do is refused, not passed over', async () => {
  refuses({ limits: { drainSeconds: 86401 } }, 'limits.drainSeconds must be <= 86400');
});

t.test('allowedHosts are names or addresses, with or without a port', async (t) => {
  const good = ['ui', 'UI.example:8787', '10.0.0.1', '10.0.0.1:80', '::1', '[fd00::7]:8787'];
  t.strictSame(resolveConfig({ clients: { allowedHosts: good } }).clients.allowedHosts, good);
  const bad = [
    '',
    'http://ui',
    'ui/',
    'ui:',
    'ui:65536',
    '*.example',
    'a b',
    '[ui]',
    '[::1',
    '1::2::3',
  ];
  for (const entry of bad) {
    refuses(
      { clients: { allowedHosts: ['ui', entry] } },
      'clients.allowedHosts.1 must be a host name or an address, with or without a port; no scheme, path or wildcard',
    );
  }
});

t.test('allowedOrigins are exactly what a browser sends', async (t) => {
  const good = ['https://ui.example', 'http://localhost:3000', 'vscode-webview://a1b2'];
  t.strictSame(resolveConfig({ clients: { allowedOrigins: good } }).clients.allowedOrigins, good);
  const urls = [
    'https://ui.example/',
    'https://ui.example:443',
    'https://UI.example',
    'https://*.a',
  ];
  for (const entry of [
    ...urls,
    '',
    'null',
    '*',
    'ui.example',
    'https://u:p@a',
    'x://a/b',
    'x://*',
  ]) {
    refuses(
      { clients: { allowedOrigins: [entry] } },
      'clients.allowedOrigins.0 must be an exact origin such as https://ui.example, as a browser sends it: lower case, no default port, path or wildcard',
    );
  }
});
