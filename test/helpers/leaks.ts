/** Shorter ones could be found anywhere by chance. */
const SHORTEST = 12;

/**
 * The forms in which a secret could appear in `text`: as it is, URL-encoded, or somewhere inside
 * base64 of either alphabet. @returns the forms that do appear
 */
export function leaksIn(text: string, secret: string): string[] {
  if (secret.length < SHORTEST) throw new Error(`too short to search for: ${secret}`);
  return [...formsOf(secret)].filter((form) => text.includes(form));
}

function formsOf(secret: string): Set<string> {
  const forms = new Set([secret, encodeURIComponent(secret)]);
  for (const encoding of ['base64', 'base64url'] as const) {
    // Base64 of a longer text holds the secret at one of three phases; its first and last
    // characters depend on the neighbours.
    for (const phase of [0, 1, 2]) {
      const encoded = Buffer.from('x'.repeat(phase) + secret).toString(encoding);
      forms.add(encoded.slice(phase === 0 ? 0 : 4, -4));
    }
  }
  return forms;
}
