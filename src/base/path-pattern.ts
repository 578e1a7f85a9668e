/** An exact path, or a prefix that ends in `/*`, in normal form; no commas, which separate lists. */
export const PATH_PATTERN =
  /^(?!.*\/\.{1,2}(?:\/|$))(?:\/[A-Za-z0-9._~!$&'()+=:@-]+)*\/(?:[A-Za-z0-9._~!$&'()+=:@-]+|\*)$/;

/** Whether a pattern covers a path, both in normal form. */
export function matchesPattern(pattern: string, path: string): boolean {
  if (!pattern.endsWith('/*')) return pattern === path;
  // A prefix also covers the folder itself, so that a deny rule leaves no gap.
  return path === pattern.slice(0, -2) || path.startsWith(pattern.slice(0, -1));
}
