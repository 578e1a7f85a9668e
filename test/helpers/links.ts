/** Targets of the relative links outside of code, in Markdown and HTML. */
export function linksIn(text: string): string[] {
  const prose = withoutBlocks(text).replaceAll(/`[^`\n]*`/g, '');
  const targets = [
    ...prose.matchAll(/\]\(([^()\s]+)(?: "[^"]*")?\)/g),
    ...prose.matchAll(/^ {0,3}\[[^\]]+\]: (\S+)/gm),
    ...prose.matchAll(/ (?:href|src|srcset)="([^"\s]+)/g),
  ].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target));
}

/** Markdown without its blocks of code. */
export function withoutBlocks(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '');
}
