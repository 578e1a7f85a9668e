/** Headers in which a proxy says for whom it asks (RFC 7239, RFC 9110 section 7.6.3, and usage); in lower case. */
export const PROXY_HEADERS: readonly string[] = ['forwarded', 'via', 'x-real-ip', 'true-client-ip'];

/** How the names of others like them begin: of most proxies, and of Cloudflare. */
const PREFIXES = ['x-forwarded-', 'cf-'];

/** @param name in lower case */
export function isProxyHeader(name: string): boolean {
  return PROXY_HEADERS.includes(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}
