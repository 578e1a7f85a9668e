/** Name of the provider in Codex's configuration. Codex lists sessions by it, so it must not change. */
export const PROVIDER_ID = 'sidecar';

/** Where Codex sends its model requests, below the origin of the sidecar. */
const MODEL_PATH = '/backend-api/codex';

/** How the agent shows its client token: as text in the file, or through a variable. */
type ProviderToken = { experimental_bearer_token: string } | { env_key: string };

export type ProviderFields = Record<string, string | boolean>;

/**
 * The fields of the provider that represents the sidecar (measured with Codex 0.142.3 and 0.169.0).
 * Codex compacts remotely only with a provider named "OpenAI". Without a token in the provider, a
 * Codex that is logged in sends its real token.
 */
export function providerFields(baseUrl: string, token: ProviderToken): ProviderFields {
  return {
    name: 'OpenAI',
    base_url: baseUrl,
    wire_api: 'responses',
    requires_openai_auth: false,
    supports_websockets: true,
    ...token,
  };
}

/** @param origin of the sidecar; a URL that already ends in the model path stays as it is */
export function modelBaseUrl(origin: string): string {
  const base = origin.replace(/\/+$/, '');
  return base.endsWith(MODEL_PATH) ? base : base + MODEL_PATH;
}

/** Where Codex sends everything else. @param baseUrl of the model routes */
export function chatGptBaseUrl(baseUrl: string): string {
  return baseUrl.slice(0, -'/codex'.length);
}

/** A string or boolean in TOML; JSON's escapes of printable text are TOML's as well. */
export function tomlValue(value: string | boolean): string {
  return JSON.stringify(value);
}
