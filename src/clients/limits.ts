/** What a client may use at most; null where there is no such limit. */
export interface ClientLimits {
  requestsPerMinute: number | null;
  /** Requests to the model that are open at the same time, WebSockets included. */
  streams: number | null;
  /** In a day of UTC. */
  inputTokensPerDay: number | null;
  outputTokensPerDay: number | null;
  /** Names of models, or beginnings of names that end in `*`. */
  models: readonly string[] | null;
}

export const NO_LIMITS: ClientLimits = {
  requestsPerMinute: null,
  streams: null,
  inputTokensPerDay: null,
  outputTokensPerDay: null,
  models: null,
};

/** The limits that are numbers, as the tokens file and the options of `token` call them. */
export const COUNTED_LIMITS = {
  requests: 'requestsPerMinute',
  streams: 'streams',
  'input-tokens': 'inputTokensPerDay',
  'output-tokens': 'outputTokensPerDay',
} as const satisfies Record<string, keyof ClientLimits>;

export type CountedLimit = keyof typeof COUNTED_LIMITS;

/** All limits by their names in the tokens file. */
export const LIMIT_NAMES: readonly string[] = [...Object.keys(COUNTED_LIMITS), 'models'];

const MOST = 1_000_000_000_000;
export const COUNT_FORM = `a whole number from 1 to ${MOST}`;
const MODEL = /^(?=[^*])[A-Za-z0-9._:@/-]{1,128}\*?$/;
export const MODELS_FORM = 'a list of models like gpt-5.1,gpt-5.1-codex* without blanks';

/** null if `text` is not {@link COUNT_FORM}. */
export function parseCount(text: string): number | null {
  const count = /^[1-9]\d{0,12}$/.test(text) ? Number(text) : null;
  return count !== null && count <= MOST ? count : null;
}

/** null if `text` is not {@link MODELS_FORM}. */
export function parseModels(text: string): string[] | null {
  const models = text.split(',');
  return models.every((model) => MODEL.test(model)) ? models : null;
}

/**
 * @param given values by their names in the tokens file; other names are left alone
 * @param refuse gets what is wrong, as a part of a sentence
 * @returns null when nothing is limited, so that a request need not look at each limit
 */
export function parseLimits(
  given: ReadonlyMap<string, string>,
  refuse: (problem: string) => never,
): ClientLimits | null {
  const limits = { ...NO_LIMITS };
  for (const [name, field] of Object.entries(COUNTED_LIMITS)) {
    const text = given.get(name);
    if (text === undefined) continue;
    limits[field] = parseCount(text) ?? refuse(`has a value of ${name} that is not ${COUNT_FORM}`);
  }
  const models = given.get('models');
  if (models !== undefined) {
    limits.models = parseModels(models) ?? refuse(`has models that are not ${MODELS_FORM}`);
  }
  return isUnlimited(limits) ? null : limits;
}

/** As the tokens file has them. */
export function formatLimits(limits: ClientLimits | null): string[] {
  if (!limits) return [];
  const counted = Object.entries(COUNTED_LIMITS).map(
    ([name, field]) => [name, limits[field]] as const,
  );
  return [...counted, ['models', limits.models?.join(',') ?? null] as const]
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`);
}

export function isUnlimited(limits: ClientLimits): boolean {
  return Object.values(limits).every((value) => value === null);
}

/** Whether the tokens that responses take have to be known. */
export function hasTokenLimit(limits: ClientLimits | null): boolean {
  return limits !== null && (limits.inputTokensPerDay ?? limits.outputTokensPerDay) !== null;
}

/** Whether a model may be used only where it can be seen. */
export function mustBeSeen(limits: ClientLimits | null): boolean {
  return limits !== null && (limits.models !== null || hasTokenLimit(limits));
}

/** Whether the turns on a WebSocket have to be known. */
export function mustReadSocket(limits: ClientLimits | null): boolean {
  return limits !== null && (limits.streams !== null || hasTokenLimit(limits));
}

export function allowsModel(models: readonly string[], model: string): boolean {
  return models.some((allowed) =>
    allowed.endsWith('*') ? model.startsWith(allowed.slice(0, -1)) : model === allowed,
  );
}
