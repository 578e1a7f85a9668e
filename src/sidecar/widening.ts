import { ConfigError } from '../base/errors.ts';
import type { Config, RouteRule } from '../config/resolve.ts';
import { DEFAULT_ROUTES } from '../proxy/routes.ts';

/**
 * What a reload would allow that is refused now, one line each for the log. A configuration that
 * lost a section, because a template or a mount went wrong, must not open the account in silence.
 * @param atStart what the operator started with
 * @throws ConfigError when callers would no longer need a client token
 */
export function wideningOf(before: Config, after: Config, atStart: Config): string[] {
  const { tokensFile } = before.clients;
  if (tokensFile !== null && after.clients.tokensFile === null) {
    if (atStart.clients.tokensFile !== null) {
      throw new ConfigError(
        `clients.tokensFile is gone (it was ${tokensFile}), so nobody would need a token any more; put it back, or restart if that is what you want`,
      );
    }
    return ['from now on nobody needs a client token', ...widenedLists(before, after)];
  }
  return widenedLists(before, after);
}

function widenedLists(before: Config, after: Config): string[] {
  const added = (name: 'allowedHosts' | 'allowedOrigins') =>
    after.clients[name]
      .filter((entry) => !before.clients[name].includes(entry))
      .map((entry) => `clients.${name} now allows ${entry}`);
  const [old, next] = [rulesOf(before), rulesOf(after)];
  const opened = next
    .filter((rule) => !isDeny(rule) && !old.includes(rule))
    .map((rule) => `routes now holds ${rule}`);
  const unlocked = old
    .filter((rule) => isDeny(rule) && !next.includes(rule))
    .map((rule) => `routes no longer holds ${rule}`);
  return [
    ...added('allowedHosts'),
    ...added('allowedOrigins'),
    ...opened,
    ...unlocked,
    ...overtaken(old, next),
  ];
}

/** The first rule that matches counts, so a rule that moves before a denial opens what that denied. */
function overtaken(old: string[], next: string[]): string[] {
  return next.filter(isDeny).flatMap((denial) => {
    const before = old.slice(0, Math.max(old.indexOf(denial), 0));
    return next
      .slice(0, next.indexOf(denial))
      .filter((rule) => !isDeny(rule) && old.includes(rule) && old.includes(denial))
      .filter((rule) => !before.includes(rule))
      .map((rule) => `routes now holds ${rule} before ${denial}`);
  });
}

function isDeny(rule: string): boolean {
  return rule.endsWith(' deny');
}

function rulesOf({ routes }: Config): string[] {
  return (routes ?? DEFAULT_ROUTES).map(describe);
}

function describe({ methods, path, auth }: RouteRule): string {
  return `${methods.join(',')} ${path} ${auth}`;
}
