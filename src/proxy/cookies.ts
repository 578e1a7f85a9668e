import type { CookieJar } from 'tough-cookie';
import type { Logger } from '../base/logger.ts';

/** Cloudflare's own names; whatever else an upstream sets is the business of a browser. */
const CLOUDFLARE =
  /^(__cf_bm|__cflb|__cfruid|__cfseq|__cfwaitingroom|_cfuvid|cf_clearance|cf_ob_info|cf_use_ob|cf_chl_[\w-]*)$/;
/** What a header can carry; with any other octet the next request could not be sent. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LONGEST = 4096;
/** As many as RFC 6265, section 6.1, asks for; `cf_chl_*` names are without number. */
const MOST = 50;

/**
 * Cloudflare's cookies of one https origin, in memory. They keep a client on its machine and prove
 * challenges that it has passed, so they belong to the sidecar, which is the client that Cloudflare
 * sees. Values are secrets: private, never logged. Domain, path, expiry and `Secure` are judged by
 * tough-cookie, which is loaded with the first cookie: most of its memory is the public suffix list.
 */
export class CloudflareCookies {
  readonly #origin: string;
  readonly #log: Pick<Logger, 'warn'>;
  #jar: CookieJar | null = null;
  #loading: Promise<void> | null = null;

  /** @param origin of the ChatGPT upstream; over plain http nothing is kept or sent */
  constructor(origin: string, log: Pick<Logger, 'warn'>) {
    this.#origin = origin;
    this.#log = log;
  }

  /**
   * Value of the `cookie` header for a request; null when there is none. A promise only while the
   * first cookie is on its way into the jar.
   */
  header(path: string): string | null | Promise<string | null> {
    if (this.#loading) return this.#loading.then(() => this.#stringFor(path));
    return this.#stringFor(path);
  }

  /**
   * Takes what a response sets.
   * @param path of the request
   * @param lines values of `set-cookie`
   */
  observe(path: string, lines: readonly string[]): void {
    if (!this.#origin.startsWith('https:')) return;
    for (const line of lines) if (isCloudflare(line)) this.#take(path, line);
  }

  #take(path: string, line: string): void {
    if (this.#jar) {
      put(this.#jar, this.#origin + path, line);
      return;
    }
    const loading = (this.#loading ?? Promise.resolve())
      .then(async () => {
        this.#jar ??= await newJar();
        put(this.#jar, this.#origin + path, line);
      })
      // For example without a free file descriptor. The next response sets the cookie again.
      .catch((error: unknown) => this.#log.warn({ err: error }, 'a Cloudflare cookie is not kept'))
      .finally(() => {
        if (this.#loading === loading) this.#loading = null;
      });
    this.#loading = loading;
  }

  #stringFor(path: string): string | null {
    return this.#jar?.getCookieStringSync(this.#origin + path) || null;
  }
}

async function newJar(): Promise<CookieJar> {
  const { CookieJar } = await import('tough-cookie');
  return new CookieJar();
}

function put(jar: CookieJar, url: string, line: string): void {
  const kept = jar.getCookiesSync(url, { allPaths: true });
  const name = nameOf(line);
  if (kept.length >= MOST && !kept.some(({ key }) => key === name)) return;
  // A cookie for another domain is ignored.
  jar.setCookieSync(line, url, { ignoreError: true });
}

function isCloudflare(line: string): boolean {
  return CLOUDFLARE.test(nameOf(line)) && line.length <= LONGEST && FIELD_VALUE.test(line);
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf('=')).trim();
}
