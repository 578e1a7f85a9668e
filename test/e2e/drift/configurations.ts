/** How Codex is told where its requests go, and with which credential. */
export interface Configuration {
  /** Codex's own provider, or one that only the file knows. */
  provider: 'built-in' | 'custom';
  /** Whether that one uses Codex's own login: `requires_openai_auth`. */
  usesLogin?: boolean;
  /** Whether that one has a client token; default true. */
  hasToken?: boolean;
  /** Base URLs that name the sidecar; the others keep their defaults. */
  pointed: readonly ('model' | 'chatgpt')[];
}

/** All that can be pointed at the sidecar. */
export const AT_SIDECAR: Configuration = { provider: 'custom', pointed: ['model', 'chatgpt'] };
export const DEFAULT: Configuration = { provider: 'built-in', pointed: [] };

/** Every way to point a Codex at the sidecar that has a login of its own, and no way at all. */
export const CONFIGURATIONS: ReadonlyMap<string, Configuration> = new Map(
  [
    { provider: 'custom', pointed: ['model'] },
    AT_SIDECAR,
    { provider: 'custom', hasToken: false, pointed: ['model'] },
    { provider: 'custom', usesLogin: true, pointed: ['model'] },
    { provider: 'custom', usesLogin: true, pointed: ['model', 'chatgpt'] },
    { provider: 'custom', usesLogin: true, hasToken: false, pointed: ['model'] },
    { provider: 'custom', usesLogin: true, hasToken: false, pointed: ['model', 'chatgpt'] },
    { provider: 'built-in', pointed: ['model'] },
    { provider: 'built-in', pointed: ['model', 'chatgpt'] },
    DEFAULT,
  ].map((configuration) => [
    nameOf(configuration as Configuration),
    configuration as Configuration,
  ]),
);

/** In the words of the file. */
function nameOf({ provider, usesLogin, hasToken = true, pointed }: Configuration): string {
  if (pointed.length === 0) return 'no base URL';
  const custom = `custom provider ${hasToken ? 'with' : 'without'} a client token`;
  return [
    provider === 'custom' ? custom : 'openai_base_url',
    ...(usesLogin ? ['requires_openai_auth'] : []),
    ...(pointed.includes('chatgpt') ? ['chatgpt_base_url'] : []),
  ].join(', ');
}

interface TomlOptions {
  /** Origin of the sidecar. */
  url: string;
  clientToken: string;
  webSockets?: boolean;
  /** Further lines at the top of the file. */
  lines?: readonly string[];
}

/** Text of a `config.toml`. */
export function configToml(configuration: Configuration, options: TomlOptions): string {
  const { provider, usesLogin = false, hasToken = true, pointed } = configuration;
  const { url, clientToken, webSockets = true, lines = [] } = options;
  const text = [...lines];
  const base = `${url}/backend-api/codex`;
  if (pointed.includes('chatgpt')) text.push(`chatgpt_base_url = "${url}/backend-api"`);
  if (provider === 'built-in') {
    if (pointed.includes('model')) text.push(`openai_base_url = "${base}"`);
    return `${text.join('\n')}\n`;
  }
  text.push(
    'model_provider = "sidecar"',
    '[model_providers.sidecar]',
    'name = "OpenAI"',
    `base_url = "${base}"`,
    'wire_api = "responses"',
    `requires_openai_auth = ${usesLogin}`,
    `supports_websockets = ${webSockets}`,
    ...(hasToken ? [`experimental_bearer_token = "${clientToken}"`] : []),
  );
  return `${text.join('\n')}\n`;
}
