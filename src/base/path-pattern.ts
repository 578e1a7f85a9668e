/**
 * An exact path, or a prefix that ends in `/*`, in normal form; a `*` before the end stands for any one
 * segment. No commas, which separate lists.
 */
export const PATH_PATTERN = /^(?!.*\/\.{1,2}(?:\/|$))(?:\/(?:[A-Za-z0-9._~!$&'()+=:@-]+|\*))+$/;

/** Whether a pattern covers a path, both in normal form. */
export function matchesPattern(pattern: string, path: string): boolean {
  if (pattern.includes('/*/')) return matchesSegments(pattern.split('/'), path.split('/'));
  if (!pattern.endsWith('/*')) return pattern === path;
  // A prefix also covers the folder itself, so that a deny rule leaves no gap.
  return path === pattern.slice(0, -2) || path.startsWith(pattern.slice(0, -1));
}

function matchesSegments(pattern: string[], path: readonly string[]): boolean {
  const isPrefix = pattern.at(-1) === '*';
  if (isPrefix) pattern.pop();
  const fits = isPrefix ? path.length >= pattern.length : path.length === pattern.length;
  return fits && pattern.every((name, index) => name === '*' || name === path[index]);
}
