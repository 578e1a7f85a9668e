/** More models than anybody uses on one sidecar. */
const MAX_MODELS = 20;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,63}$/;

/**
 * Keeps the number of model names small: they come from responses, which repeat what a client has
 * asked for. What is no name, and every name beyond the first twenty, is `other`.
 */
export class ModelNames {
  readonly #known = new Set<string>();

  /** @param name null where the response does not say it, which is `unknown` */
  bounded(name: string | null): string {
    if (name === null) return 'unknown';
    if (this.#known.has(name)) return name;
    if (this.#known.size >= MAX_MODELS || !NAME.test(name)) return 'other';
    this.#known.add(name);
    return name;
  }
}
