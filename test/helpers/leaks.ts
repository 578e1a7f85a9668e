/** Shorter ones could be found anywhere by chance. */
export const SHORTEST = 12;

/**
 * The forms in which a secret could appear in `text`: as it is, URL-encoded, or somewhere inside
 * base64 of either alphabet. @returns the forms that do appear
 */
export function leaksIn(text: string, secret: string): string[] {
  if (secret.length < SHORTEST) throw new Error(`too short to search for: ${secret}`);
  return formsOf(secret).filter((form) => text.includes(form));
}

const known = new Map<string, string[]>();

function formsOf(secret: string): string[] {
  const forms = known.get(secret) ?? [...new Set(encode(secret))];
  known.set(secret, forms);
  return forms;
}

function* encode(secret: string): Generator<string> {
  yield secret;
  yield encodeURIComponent(secret);
  for (const encoding of ['base64', 'base64url'] as const) {
    // Base64 of a longer text holds the secret at one of three phases; its first and last
    // characters depend on the neighbours.
    for (const phase of [0, 1, 2]) {
      const encoded = Buffer.from('x'.repeat(phase) + secret).toString(encoding);
      yield encoded.slice(phase === 0 ? 0 : 4, -4);
    }
  }
}
