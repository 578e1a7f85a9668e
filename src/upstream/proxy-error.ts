/** A tunnel through a proxy that was not made; nothing has been sent to the upstream. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: string;

  /**
   * @param code of the failure; see `transport-error.ts`
   * @param message names the proxy, without user and password, and says what it did
   */
  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
