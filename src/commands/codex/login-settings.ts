import { asTable, type RootFields, type Table } from './config-toml.ts';
import { chatGptBaseUrl } from './provider.ts';

/** What Codex does unless it is told otherwise. */
const METRICS_TO_OPENAI = 'statsig';

/**
 * What goes with a phantom login into `config.toml`, so that Codex asks the sidecar for everything and
 * nobody else for anything (observed, 0.169.0 and 0.171.0).
 *
 * - Codex asks for apps without Authorization, again and again, unless the variable
 *   `CODEX_CONNECTORS_TOKEN` holds a token, and a file cannot set one. Nothing else is sent less
 *   without apps but suggestions of plugins.
 * - Codex sends metrics to ab.chatgpt.com, whatever its base URLs are, and waits for that at its end.
 *   Another destination, which somebody has chosen, stays.
 * @param baseUrl of the model routes
 * @param before content of the file
 */
export function loginSettings(baseUrl: string, before: Table): RootFields {
  const { metrics_exporter: exporter = METRICS_TO_OPENAI } = asTable(before.otel);
  return {
    chatgpt_base_url: chatGptBaseUrl(baseUrl),
    features: { apps: false },
    ...(exporter === METRICS_TO_OPENAI ? { otel: { metrics_exporter: 'none' } } : {}),
  };
}
